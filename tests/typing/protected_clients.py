"""The types of protected clients: each is the client that it was. Never run."""

from __future__ import annotations

from typing import assert_type

import aiohttp
import requests
import urllib3

from resilience import circuit_breaker, deadline
from resilience.clients import by_host, protect, request_options


class ShopSession(requests.Session):
    def lamps(self) -> list[str]:
        return self.get("http://shop.example/lamps").json()  # type: ignore[no-any-return]


assert_type(protect(requests.Session()), requests.Session)
assert_type(protect(ShopSession(), deadline(5)).lamps(), list[str])
assert_type(protect(urllib3.PoolManager(), circuit_breaker("shop", key=by_host)), urllib3.PoolManager)
assert_type(protect(urllib3.HTTPSConnectionPool("shop.example")), urllib3.HTTPSConnectionPool)

with request_options(deadline=2.5, idempotent=True):
    requests.post("http://shop.example/search")


async def lamps() -> bytes:
    async with protect(aiohttp.ClientSession()) as session:
        assert_type(session, aiohttp.ClientSession)
        async with session.get("http://shop.example/lamps") as response:
            return await response.read()


protect(requests.Session(), 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
request_options(deadlin=2.5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
