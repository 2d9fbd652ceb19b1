"""Prices, which another service knows; while that fails, the last good ones, which Redis keeps."""

from __future__ import annotations

import httpx
from pydantic import BaseModel
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from examples.shop.settings import REDIS, UPSTREAM
from resilience import (
    ResilienceError,
    RetryBudget,
    StaleEntry,
    circuit_breaker,
    deadline,
    fallback,
    retry_on_category,
    timeout,
    track_errors,
    translating,
)

__all__ = ["Price", "UnknownItemError", "client", "price_of"]

client = httpx.AsyncClient(base_url=UPSTREAM, trust_env=False)


class Price(BaseModel):
    """The price of an item, in cents."""

    item: str
    cents: int


class UnknownItemError(ResilienceError, code="SHOP-E001", category="not_found"):
    """The shop has no such item."""


class KeptPrice(BaseModel):
    """A price as Redis keeps it."""

    price: Price
    stored_at: float


class PriceCache:
    """The last good prices, in Redis, for a day. Redis has 200 ms: a slow cache must not slow down a good answer."""

    def __init__(self, url: str) -> None:
        # The retries of redis-py are off: a failed call is not worth a second one.
        self._redis: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url, socket_timeout=0.2, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0)
        )

    async def get(self, key: str) -> StaleEntry[Price] | None:
        """Return the price that is kept under *key*, if there is one."""
        found = await self._redis.get(key)
        if found is None:
            return None
        kept = KeptPrice.model_validate_json(found)
        return StaleEntry(kept.price, kept.stored_at)

    async def set(self, key: str, entry: StaleEntry[Price]) -> None:
        """Keep a price."""
        kept = KeptPrice(price=entry.value, stored_at=entry.stored_at)
        await self._redis.set(key, kept.model_dump_json(), ex=86_400)


def price_key(item: str) -> str:
    """Return the key of an item's price."""
    return f"price:{item}"


catalogue_retries = RetryBudget("catalogue")


@track_errors(component="catalogue")
@fallback(stale=PriceCache(REDIS), key=price_key, max_age=3600, degraded=True)
@translating({"not_found": UnknownItemError})
@deadline(2.5)  # half a second less than a request: the stale price is still in time
@retry_on_category(attempts=3, base_delay=0.05, max_delay=1, budget=catalogue_retries, min_attempt_time=0.1)
@circuit_breaker("catalogue", failure_threshold=5, reset_timeout=2)
@timeout(1)
async def price_of(item: str) -> Price:
    """Return the price of an item."""
    response = await client.get(f"/prices/{item}")
    response.raise_for_status()  # a 503 is a failure only if it is raised
    return Price.model_validate_json(response.content)
