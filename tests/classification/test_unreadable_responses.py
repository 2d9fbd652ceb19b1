"""A gateway's page of HTML behind `.json()`: by the status of the response, and never a proof of health."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator

import aiohttp
import httpx
import pytest
import requests

from resilience import CircuitBreaker, CircuitState
from resilience.categories import ErrorCategory
from resilience.classification import classify
from resilience.testing import virtual_time
from tests.classification.peers import Peer

C = ErrorCategory
_PAGE = {"200": C.DEPENDENCY, "502": C.UNAVAILABLE, "503": C.UNAVAILABLE, "504": C.TIMEOUT, "500": C.SERVER_ERROR}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Peer]:
    peer = Peer()
    for status in _PAGE:
        peer.answers[status] = (int(status), {"content-type": "text/html"}, b"<html>bad gateway</html>")
    yield peer
    peer.close()


def _httpx(url: str) -> object:
    return httpx.get(url, trust_env=False).json()


def _requests(url: str) -> object:
    return requests.get(url, timeout=5).json()


def _aiohttp(url: str) -> object:
    async def get() -> object:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.json()

    return asyncio.run(get())


@pytest.mark.parametrize("status", _PAGE)
@pytest.mark.parametrize("get", [_httpx, _requests, _aiohttp], ids=["httpx", "requests", "aiohttp"])
def test_a_page_in_place_of_json_goes_by_its_status(gateway: Peer, get: Callable[[str], object], status: str) -> None:
    with pytest.raises(Exception) as caught:
        get(f"http://127.0.0.1:{gateway.port}/{status}")
    assert classify(caught.value) is _PAGE[status]


@pytest.mark.parametrize(
    "garbage",
    [json.JSONDecodeError("no JSON", "", 0), UnicodeDecodeError("utf-8", b"", 0, 1, "")],
    ids=lambda e: type(e).__name__,
)
def test_a_probe_that_brings_back_garbage_does_not_close_a_circuit(garbage: Exception) -> None:
    outcome: Exception = ConnectionResetError()
    with virtual_time() as clock:
        breaker = CircuitBreaker("gateway of garbage", failure_threshold=1, reset_timeout=10)

        @breaker
        def call() -> None:
            raise outcome

        with pytest.raises(ConnectionResetError):
            call()
        outcome = garbage
        clock.advance(11)
        with pytest.raises(type(garbage)):
            call()
        assert breaker.state.kind is CircuitState.HALF_OPEN
