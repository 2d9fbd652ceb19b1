"""FastAPI: a deadline for each request, a budget and a circuit for what it calls, health, and a clean start and end."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from fastapi import Depends, FastAPI, Request

from resilience import RetryBudget, circuit_breaker, retry_on_category, timeout
from resilience.circuits import snapshot
from resilience.clients import protect
from resilience.integrations.fastapi import request_deadline
from resilience.integrations.http.starlette import install

budget = RetryBudget(name="catalogue of fastapi")  # one for all callers of the catalogue
breaker = circuit_breaker("catalogue of fastapi", failure_threshold=5, reset_timeout=10)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Open the client with the application, and close it with it."""
    plain = httpx.AsyncClient(base_url=os.environ.get("CATALOGUE", "http://catalogue:8000"))
    async with protect(plain, retry_on_category(max_delay=1, budget=budget), breaker, timeout(1.5)) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan, dependencies=[Depends(request_deadline(5))])
install(app)  # errors as problem documents: an open circuit is a 503 with Retry-After, a deadline a 504


async def search_catalogue(client: httpx.AsyncClient, query: str) -> list[str]:
    """Ask the catalogue, within what is left of the request's deadline."""
    response = await client.get("/search", params={"q": query})
    response.raise_for_status()
    return [item["name"] for item in response.json()]


@app.get("/search")
async def search(request: Request, q: str) -> list[str]:
    """Return the names that are found."""
    return await search_catalogue(request.app.state.client, q)


@app.get("/health")
async def health() -> dict[str, object]:
    """Return the state of the circuits. An open one is no reason to restart this process: the status stays 200."""
    return {"circuits": {one["name"]: one["state"] for one in snapshot()}}
