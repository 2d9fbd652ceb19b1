"""SQLAlchemy: the transaction is retried, never a statement of it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine, text

from resilience.integrations.sqlalchemy import in_transaction, is_commit_unknown

CHANGE = text("UPDATE accounts SET balance = balance + :amount WHERE id = :id")


def transfers(engine: Engine) -> Callable[[int, int, int], str]:
    """Return a function that moves money, for an engine that is made at start-up."""

    @in_transaction(engine.execution_options(isolation_level="SERIALIZABLE"), attempts=10, base_delay=0.02)
    def transfer(connection: Connection, source: int, target: int, amount: int) -> None:
        connection.execute(CHANGE, {"id": source, "amount": -amount})
        connection.execute(CHANGE, {"id": target, "amount": amount})

    def pay(source: int, target: int, amount: int) -> str:
        try:
            transfer(source, target, amount)
        except Exception as error:
            if is_commit_unknown(error):  # the answer to the commit was lost: look before it is made again
                return "unknown"
            raise
        return "paid"

    return pay
