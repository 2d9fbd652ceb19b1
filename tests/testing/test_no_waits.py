"""`testing.no_waits`: retries that follow at once. Where it holds is in test_settings."""

from __future__ import annotations

import time

import anyio
import pytest

from resilience import (
    CircuitOpenError,
    Pipeline,
    fallback,
    retry_on_category,
    retrying,
    subscribe,
    timeout,
)
from resilience.testing import no_waits, virtual_time
from tests.runners import Runner
from tests.test_settings import Dependency, open_circuit


@pytest.fixture(params=[False, True], ids=["here", "everywhere"])
def everywhere(request: pytest.FixtureRequest) -> bool:
    return request.param


def test_retries_do_not_wait(runner: Runner, everywhere: bool):
    waits: list[float] = []
    began = time.monotonic()
    with no_waits(everywhere=everywhere), subscribe(lambda event: waits.append(getattr(event, "wait", None))):
        policy = retry_on_category(attempts=5, base_delay=60, jitter="none")
        assert Dependency(4).through(runner, policy) == "ok"
        assert Dependency(4).through(runner, Pipeline(timeout(900), policy)) == "ok"
    assert time.monotonic() - began < 30
    assert [wait for wait in waits if wait] == [60] * 8


def test_loops_do_not_wait(backend: str):
    made: list[int] = []

    async def main() -> None:
        async for attempt in retrying(base_delay=60):
            with attempt:
                made.append(attempt.number)
                if attempt.number < 3:
                    raise ConnectionResetError

    with no_waits():
        for attempt in retrying(base_delay=60):
            with attempt:
                made.append(attempt.number)
                if attempt.number < 3:
                    raise ConnectionResetError
        anyio.run(main, backend=backend)
    assert made == [1, 2, 3] * 2


def test_no_waits_leaves_other_policies_unchanged():
    circuit = open_circuit()
    with no_waits():
        with pytest.raises(CircuitOpenError):
            circuit(Dependency().call)()
        assert fallback(default=1)(Dependency().call)() == 1


def test_no_waits_works_in_virtual_time():
    with virtual_time() as clock, no_waits():
        assert Dependency(1).through(Runner("sync"), retry_on_category(base_delay=60, jitter="none")) == "ok"
        assert clock.now() == 60
