"""Two thousand requests that fail in many ways, in four threads through a pool of two, leave no connection behind."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from resilience import retry_on_category
from resilience.testing import no_waits
from tests.clients.conformance import Driver, Request, Setup
from tests.clients.other_drivers import RequestsDriver, Urllib3Driver, Urllib3PoolDriver
from tests.clients.server import Action, Connection, Server, answer, chunked, close, cut, cut_chunks, redirect, reset

pytestmark = pytest.mark.slow

CALLS = 1000  # of two attempts each
CALLERS = 4  # at a time, for two connections
FAILURES: Sequence[Action] = [
    *[answer(503, b"busy")] * 5,
    chunked(503, b"busy", b"still"),
    answer(429, b"busy", retry_after="1"),
    reset,
    close,
    cut(503),
    cut(),
    cut_chunks(),
    redirect(302, "/"),
    answer(503, b"busy" * 50_000),
    answer(503, b"busy", keep=False),
]


class Failing:
    """The action that fails in each way in turn."""

    def __init__(self) -> None:
        self._ways = itertools.cycle(FAILURES)

    def __call__(self, connection: Connection) -> bool:
        return next(self._ways)(connection)


def fail(driver: Driver, server: Server) -> tuple[int | None, int]:
    """Make the calls; return the connections that are in use afterwards, and the status of a call that can succeed."""
    client = driver.guard(driver.open(Setup(pool=2)), [retry_on_category(attempts=2)])

    def call(path: str, streams: bool = False) -> int:
        try:
            return driver.send(client, Request("GET", f"{server.url}{path}", streams=streams)).status
        except driver.error_root:
            return 0

    try:
        call("/")
        with ThreadPoolExecutor(CALLERS) as threads:
            shared = zip(range(CALLS), itertools.cycle([False, True]), strict=False)
            calls = [threads.submit(copy_context().run, call, "/", streams) for _, streams in shared]
        assert 200 not in {each.result() for each in calls}
        return driver.busy(client), call("/well")
    finally:
        driver.close(client)


@pytest.mark.parametrize("driver", [RequestsDriver(), Urllib3Driver(), Urllib3PoolDriver()], ids=lambda each: each.name)
def test_no_connection_is_left_behind(driver: Driver) -> None:
    with Server({"/": [Failing()], "/well": [answer(200)]}) as server, no_waits():
        busy, status = fail(driver, server)
        assert len(server.requests) >= 2 * CALLS
        assert (busy, status) == (0, 200)
        gc.collect()  # errors of urllib3 are in cycles with their frames, which hold its pool
        assert server.settles(lambda: server.open_connections == 0)
