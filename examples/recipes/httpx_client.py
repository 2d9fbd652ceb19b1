"""httpx: a client that is protected where it is made, and functions that just use it."""

from __future__ import annotations

import httpx

from resilience import fallback
from resilience.clients import protect


def open_client(base_url: str) -> httpx.AsyncClient:
    """Open the client, once for the program: circuit, budget and slots for each host are those of the client."""
    return protect(httpx.AsyncClient(base_url=base_url))


@fallback(default=())
async def search(client: httpx.AsyncClient, query: str) -> tuple[str, ...]:
    """Return the names that are found; none while the catalogue is down."""
    response = await client.get("/search", params={"q": query})
    response.raise_for_status()  # the last response, where the retries were in vain
    return tuple(item["name"] for item in response.json())


async def order(client: httpx.AsyncClient, key: str, item: str) -> str:
    """Place an order. A POST is repeated because of its key alone, by which the server knows the second one."""
    response = await client.post("/orders", json={"item": item}, headers={"Idempotency-Key": key})
    response.raise_for_status()
    return str(response.json()["id"])
