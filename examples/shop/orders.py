"""Orders, in a database, and their payment."""

from __future__ import annotations

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, sessionmaker

from examples.shop.prices import Price, client
from examples.shop.settings import DATABASE
from resilience import circuit_breaker, retry_on_category, timeout, track_errors

__all__ = ["create_tables", "pay", "store"]

engine = create_engine(DATABASE, connect_args={"timeout": 0.05})  # SQLite: 50 ms for a lock, then the retry
sessions = sessionmaker(engine)


class Base(MappedAsDataclass, DeclarativeBase):
    """Base of the tables."""


class Order(Base):
    """A paid order."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    item: Mapped[str]
    cents: Mapped[int]
    payment: Mapped[str]


def create_tables() -> None:
    """Create the tables that there are not yet."""
    Base.metadata.create_all(engine)


@track_errors(component="payments")
@retry_on_category(attempts=3, idempotent=False)  # again only if the request has certainly not been processed
@circuit_breaker("payments", failure_threshold=5, reset_timeout=2)
@timeout(1.0)
async def pay(price: Price) -> str:
    """Pay, and return the number of the payment."""
    response = await client.post("/payments", json={"cents": price.cents})
    response.raise_for_status()
    return str(response.json()["id"])


@track_errors(component="database")
@retry_on_category("unavailable", attempts=5, base_delay=0.05, max_delay=0.5)  # the whole transaction
def store(price: Price, payment: str) -> int:
    """Store an order, and return its number."""
    with sessions.begin() as session:
        order = Order(price.item, price.cents, payment)
        session.add(order)
        session.flush()
        return order.id
