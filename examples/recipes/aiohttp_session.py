"""aiohttp: the request and the reading of its body in one guarded function, so that both are retried."""

from __future__ import annotations

import aiohttp

from resilience import standard

catalogue = standard("catalogue of aiohttp")


def open_session(base_url: str) -> aiohttp.ClientSession:
    """Open a session whose error responses are raised: then each of them is a failure."""
    return aiohttp.ClientSession(base_url, raise_for_status=True)


@catalogue
async def search(session: aiohttp.ClientSession, query: str) -> tuple[str, ...]:
    """Return the names that are found."""
    async with session.get("/search", params={"q": query}) as response:
        return tuple(item["name"] for item in await response.json())
