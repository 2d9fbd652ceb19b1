"""The shop over HTTP.

UPSTREAM=http://127.0.0.1:8001 uvicorn examples.shop.app:app
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import anyio.to_thread
from fastapi import FastAPI
from prometheus_client import make_asgi_app  # pyright: ignore[reportUnknownVariableType]
from pydantic import BaseModel
from starlette.types import ASGIApp

from examples.shop import orders, prices
from examples.shop.logs import log_as_json
from examples.shop.prices import Price
from resilience import Degraded, circuits, deadline
from resilience.circuits import CircuitSnapshot
from resilience.integrations import prometheus
from resilience.integrations.http import install
from resilience.integrations.logging import log_events

log_as_json()
log_events(bind={"service": "shop"})
prometheus.install(component="shop", budgets=[prices.catalogue_retries])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None, None]:
    """Create the tables before the first request."""
    orders.create_tables()
    yield
    await prices.client.aclose()


app = FastAPI(lifespan=lifespan)
install(app)  # each error that reaches a request is answered by its category, and logged once
app.mount("/metrics", cast("ASGIApp", make_asgi_app()))  # pyright: ignore[reportUnknownMemberType]


class Offer(BaseModel):
    """A price, and whether it is one of earlier."""

    price: Price
    stale: bool = False


class OrderNumber(BaseModel):
    """The answer to an order."""

    order: int


@app.get("/prices/{item}")
@deadline(3)
async def offer(item: str) -> Offer:
    """Return the price of an item, the last good one while the catalogue fails."""
    price = await prices.price_of(item)
    if isinstance(price, Degraded):
        return Offer(price=price.value, stale=True)
    return Offer(price=price)


@app.post("/orders/{item}", status_code=201)
@deadline(5)
async def order(item: str) -> OrderNumber:
    """Buy an item, at a price that is not stale."""
    price = await prices.price_of(item)
    if isinstance(price, Degraded):
        raise price.error
    payment = await orders.pay(price)
    return OrderNumber(order=await anyio.to_thread.run_sync(orders.store, price, payment))


@app.get("/health/circuits", response_model=None)
def health() -> list[CircuitSnapshot]:
    """Return the state of each circuit."""
    return circuits.snapshot()
