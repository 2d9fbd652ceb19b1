"""httpx: one stack for a service, around the function that makes the request and judges its answer."""

from __future__ import annotations

import httpx

from resilience import fallback, standard

catalogue = standard("catalogue of httpx")  # one object for all that call the service


def open_client(base_url: str) -> httpx.AsyncClient:
    """Open the client. Its own limits are for what the stack does not limit: waiting for a free connection."""
    return httpx.AsyncClient(base_url=base_url, timeout=httpx.Timeout(5, pool=1))


@fallback(default=())
@catalogue
async def search(client: httpx.AsyncClient, query: str) -> tuple[str, ...]:
    """Return the names that are found; none while the catalogue is down."""
    response = await client.get("/search", params={"q": query})
    response.raise_for_status()  # a 503 is a failure only if it is raised
    return tuple(item["name"] for item in response.json())


@catalogue
async def order(client: httpx.AsyncClient, key: str, item: str) -> str:
    """Place an order. A POST is repeated because of its key alone, by which the server knows the second one."""
    response = await client.post("/orders", json={"item": item}, headers={"Idempotency-Key": key})
    response.raise_for_status()
    return str(response.json()["id"])
