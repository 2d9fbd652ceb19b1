"""Cancellation and Ctrl-C: everything taken is given back, nothing is recorded, nothing goes on."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from resilience import circuit_breaker, fallback, retry_on_category, subscribe, timeout
from resilience.testing import virtual_time

down = ConnectionResetError("down")


def full(function):
    return fallback(default=1)(retry_on_category(base_delay=0)(circuit_breaker("b")(timeout(60)(function))))


def test_a_cancelled_call_makes_no_further_attempt_and_emits_no_event(backend: str):
    calls, heard = [], []

    @full
    async def hang() -> None:
        calls.append(1)
        await anyio.sleep_forever()

    async def main() -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hang)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught

    with subscribe(heard.append):
        anyio.run(main, backend=backend)
    assert calls == [1]
    assert heard == []


def test_a_call_cancelled_while_it_waits_for_the_next_attempt_makes_none(backend: str):
    calls = []

    @retry_on_category(base_delay=3600, max_delay=3600)
    async def fail() -> None:
        calls.append(1)
        raise down

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert calls == [1]


def test_asyncio_cancel_reaches_through_a_limit_and_leaves_no_trace_of_its_own():
    @full
    async def hang() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        task = asyncio.create_task(hang())
        await anyio.wait_all_tasks_blocked()
        task.cancel("by hand")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())


def test_a_limit_that_fires_leaves_the_task_uncancelled():
    @timeout(1)
    async def hang() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        with virtual_time(patience=0.01):
            with pytest.raises(TimeoutError):
                await hang()
        assert asyncio.current_task().cancelling() == 0
        await asyncio.sleep(0)

    asyncio.run(main())


def test_exception_groups_with_a_cancellation_inside_pass_untouched():
    group = BaseExceptionGroup("both", [asyncio.CancelledError(), down])

    @full
    async def fail() -> None:
        raise group

    async def main() -> None:
        with pytest.raises(BaseExceptionGroup) as caught:
            await fail()
        assert caught.value is group

    asyncio.run(main())


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_ctrl_c_and_system_exit_pass_every_policy_unchanged(stop: type[BaseException]):
    raised, heard = stop(), []

    @full
    def leave() -> None:
        raise raised

    with subscribe(heard.append), pytest.raises(stop) as caught:
        leave()
    assert caught.value is raised
    assert heard == []
