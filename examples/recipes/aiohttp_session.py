"""aiohttp: a protected session; a program has one for each service."""

from __future__ import annotations

import aiohttp

from resilience.clients import protect


def open_session(base_url: str) -> aiohttp.ClientSession:
    """Open a session. The limits of the stack take the place of its 5 minutes."""
    return protect(aiohttp.ClientSession(base_url, timeout=aiohttp.ClientTimeout(total=None)))


async def search(session: aiohttp.ClientSession, query: str) -> tuple[str, ...]:
    """Return the names that are found."""
    async with session.get("/search", params={"q": query}) as response:
        response.raise_for_status()  # the last response, where the retries were in vain
        return tuple(item["name"] for item in await response.json())
