"""Ten thousand failing requests through a pool of two connections leave none behind, whatever the server does."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from resilience import retry_on_category
from resilience.testing import no_waits
from tests.clients.conformance import AsyncDriver, Driver, Request, Setup
from tests.clients.drivers import DRIVERS
from tests.clients.server import Server, answer, chunked, cut, reset

pytestmark = pytest.mark.slow

CALLS, REQUESTS, AT_ONCE = 5_600, 10_000, 8  # a call is two requests, unless it is a 404
SCRIPT = {
    "/503": [answer(503, b"busy")],
    "/long": [chunked(503, b"lamp" * 20_000)],
    "/cut": [cut()],
    "/reset": [reset],
    "/404": [answer(404, b"none")],
}
POLICIES = [retry_on_category(attempts=2, base_delay=0.1)]


def requests(url: str) -> list[Request]:
    """Return the calls: mostly plain failures, and some of each other kind, with and without streaming."""
    kinds = itertools.cycle([*["/503"] * 16, "/404", "/404", "/cut", "/reset", "/long"])
    return [Request("GET", url + next(kinds), streams=number % 3 == 0) for number in range(CALLS)]


def fail(driver: Any, client: Any, request: Request) -> None:
    try:
        assert driver.send(client, request).status in (503, 404)
    except driver.error_root as error:
        if not request.url.endswith(("/cut", "/reset")):
            raise AssertionError(request.url) from error


async def fail_async(driver: Any, client: Any, request: Request) -> None:
    try:
        assert (await driver.send(client, request)).status in (503, 404)
    except driver.error_root as error:
        if not request.url.endswith(("/cut", "/reset")):
            raise AssertionError(request.url) from error


async def fail_all(driver: AsyncDriver, setup: Setup, url: str) -> int | None:
    client = driver.guard(driver.open(setup), POLICIES)
    calls = iter(requests(url))

    async def work() -> None:
        for request in calls:
            await fail_async(driver, client, request)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    busy = driver.busy(client)
    await driver.close(client)
    return busy


#: httpx2 has the adapter of httpx.
ONE_OF_EACH = [driver for driver in DRIVERS if not driver.name.startswith("httpx2")]


@pytest.mark.parametrize("driver", ONE_OF_EACH, ids=lambda driver: driver.name)
def test_ten_thousand_failures_leave_no_connection_in_use(driver: Driver) -> None:
    setup = Setup(pool=2)
    with Server(SCRIPT) as server, no_waits(everywhere=True):
        if isinstance(driver, AsyncDriver):
            assert not asyncio.run(fail_all(driver, setup, server.url))
        else:
            client = driver.guard(driver.open(setup), POLICIES)
            # One after the other: among threads the pool of httpcore reads closed sockets, protected or not.
            for request in requests(server.url):
                fail(driver, client, request)
            assert not driver.busy(client)
            driver.close(client)
        assert len(server.requests) >= REQUESTS
        assert server.settles(lambda: server.open_connections == 0)
