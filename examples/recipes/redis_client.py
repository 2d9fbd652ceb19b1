"""Redis: a protected client. What may be sent twice is decided by command: an HGET may, and an INCR may not."""

from __future__ import annotations

import redis

from resilience import fallback
from resilience.clients import protect


def open_client(url: str) -> redis.Redis:
    """Open the client, once for the program. Its own retries, which would send an INCR up to 11 times, are off."""
    return protect(redis.Redis.from_url(url, decode_responses=True))


@fallback(default=None)
def cached_page(client: redis.Redis, name: str) -> str | None:
    """Return a page from the cache; none while Redis is down: the program renders it then."""
    page = client.hget("pages", name)
    return None if page is None else str(page)


def count_order(client: redis.Redis, number: str) -> int:
    """Count an order, once: the two commands are one transaction, sent again only where they were surely not sent."""
    with client.pipeline() as transaction:
        transaction.sadd("orders", number)
        transaction.incr("orders:count")
        return int(transaction.execute()[1])
