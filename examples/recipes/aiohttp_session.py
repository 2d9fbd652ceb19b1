"""aiohttp: the request and the reading of its body in one guarded function, so that both are retried."""

from __future__ import annotations

import aiohttp

from resilience import standard

catalogue = standard("catalogue of aiohttp")


def open_session(base_url: str) -> aiohttp.ClientSession:
    """Open a session; a program has one for each service. The limits of the stack take the place of its 5 minutes."""
    return aiohttp.ClientSession(base_url, timeout=aiohttp.ClientTimeout(total=None))


@catalogue
async def search(session: aiohttp.ClientSession, query: str) -> tuple[str, ...]:
    """Return the names that are found."""
    async with session.get("/search", params={"q": query}) as response:
        response.raise_for_status()  # a 503 is a failure only if it is raised
        return tuple(item["name"] for item in await response.json())
