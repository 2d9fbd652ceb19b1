"""A deadline for each request of a FastAPI application."""

from __future__ import annotations

import asyncio

import fastapi
import httpx
import pytest

import resilience.integrations.http.starlette as starlette
from resilience import remaining
from resilience.integrations.fastapi import request_deadline


async def get(app: fastapi.FastAPI, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get(path)


@pytest.fixture
def app() -> fastapi.FastAPI:
    app = fastapi.FastAPI(dependencies=[fastapi.Depends(request_deadline(30))])
    starlette.install(app)

    @app.get("/async")
    async def in_a_coroutine() -> float | None:
        return remaining()

    @app.get("/sync")
    def in_a_thread() -> float | None:
        return remaining()

    @app.get("/short", dependencies=[fastapi.Depends(request_deadline(0.05))])
    async def of_its_own() -> None:
        await asyncio.Event().wait()

    return app


@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_what_the_endpoint_calls_inherits_the_deadline(app: fastapi.FastAPI, path: str):
    left = asyncio.run(get(app, path)).json()
    assert 0 < left <= 30


def test_an_endpoint_that_takes_longer_is_cancelled_and_answered_with_504(app: fastapi.FastAPI):
    response = asyncio.run(get(app, "/short"))
    assert (response.status_code, response.json()["category"]) == (504, "timeout")


def test_requests_have_deadlines_of_their_own(app: fastapi.FastAPI):
    async def scenario() -> list[httpx.Response]:
        return await asyncio.gather(get(app, "/short"), get(app, "/async"), get(app, "/short"))

    statuses = [response.status_code for response in asyncio.run(scenario())]
    assert statuses == [504, 200, 504]


def test_what_is_no_duration_is_refused_where_it_is_written():
    with pytest.raises(ValueError, match="seconds=0: give seconds"):
        request_deadline(0)
