"""`remaining`: the rest of the innermost deadline or limit, in every task and thread that inherits it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import anyio
import anyio.to_thread
import pytest

from resilience import CallTimeoutError, DeadlineExceededError, deadline, remaining, retry_on_category, timeout
from resilience.clock import using_clock
from resilience.testing import VirtualClock, virtual_time
from tests import loops
from tests.runners import Runner


def left(runner: Runner, *decorators: Callable, jump: float = 0.0) -> float | None:
    """Return what is left to a function within *decorators*, after *jump* seconds of virtual time."""

    def ask() -> float | None:
        clock.advance(jump)
        return remaining()

    async def ask_async() -> float | None:
        return ask()

    for decorate in reversed(decorators):
        ask, ask_async = decorate(ask), decorate(ask_async)
    with virtual_time(patience=60) as clock:
        return runner.run(ask, ask_async)


def test_remaining_is_none_without_a_limit(runner: Runner):
    assert left(runner) is None
    assert left(runner, retry_on_category()) is None


def test_remaining_is_the_rest_of_the_earliest_deadline(runner: Runner):
    assert left(runner, deadline(5)) == 5
    assert left(runner, timeout(5)) == 5
    assert left(runner, deadline(5), timeout(9)) == 5
    assert left(runner, timeout(5), deadline(9)) == 5
    assert left(runner, deadline(9), retry_on_category(), timeout(5)) == 5
    assert left(runner, deadline(9), retry_on_category(), timeout(5), jump=2) == 3


def test_remaining_is_never_negative(runner: Runner):
    if runner.is_async:
        pytest.skip("the limits of async calls end them")
    assert left(runner, deadline(5), jump=7) == 0


def test_remaining_works_with_the_systems_clock(runner: Runner):
    seen: list[float | None] = []

    def ask() -> None:
        seen.append(remaining())

    async def ask_async() -> None:
        seen.append(remaining())

    for decorate in (deadline(50), timeout(50), lambda fn: timeout(50)(retry_on_category()(timeout(90)(fn)))):
        runner.run(decorate(ask), decorate(ask_async))
    assert all(49 < each <= 50 for each in seen)
    assert len(seen) == 3


def test_remaining_shows_a_limit_on_the_fast_path_of_asyncio():
    seen: list[float | None] = []

    async def work() -> None:
        seen.append(remaining())
        await asyncio.sleep(1.5)
        seen.append(remaining())
        async with timeout(9):
            seen.append(remaining())
        seen.append(remaining())

    # By the machine's own clock, but of a loop that need not be waited for.
    loops.run(timeout(4)(work)())
    assert seen == pytest.approx([4, 2.5, 2.5, 2.5])


def test_remaining_shows_a_limit_by_signal():
    import os

    if os.name != "posix":
        pytest.skip("signals")
    assert 49 < timeout(50, mode="signal")(remaining)() <= 50


# -- inherited ------------------------------------------------------------------------------------------------------


def test_a_worker_thread_of_a_limit_inherits_the_deadline():
    seen: list[tuple[float | None, bool]] = []
    here = threading.get_ident()
    with virtual_time(patience=60), deadline(5):
        timeout(9)(lambda: seen.append((remaining(), threading.get_ident() == here)))()
        timeout(2)(lambda: seen.append((remaining(), threading.get_ident() == here)))()
    assert seen == [(5, False), (2, False)]


def test_threads_of_anyio_inherit_the_deadline(backend: str):
    async def main() -> float | None:
        with virtual_time(patience=60):
            async with deadline(5):
                return await anyio.to_thread.run_sync(remaining)

    assert anyio.run(main, backend=backend) == 5


def test_threads_of_asyncio_inherit_the_deadline():
    async def main() -> float | None:
        with virtual_time(patience=60):
            async with deadline(5):
                return await asyncio.to_thread(remaining)

    assert asyncio.run(main()) == 5


def test_the_children_of_a_task_group_inherit_the_deadline(backend: str):
    seen: list[float | None] = []

    async def child() -> None:
        seen.append(remaining())
        async with deadline(9):
            seen.append(remaining())
        async with timeout(2):
            seen.append(remaining())

    async def main() -> None:
        with virtual_time(patience=60):
            async with deadline(5), anyio.create_task_group() as tasks:
                tasks.start_soon(child)

    anyio.run(main, backend=backend)
    assert seen == [5, 5, 2]


def test_a_bare_task_inherits_the_deadline_by_the_systems_clock():
    async def child() -> float | None:
        return remaining()

    async def main() -> float | None:
        async with deadline(50):
            return await asyncio.create_task(child())

    assert 49 < asyncio.run(main()) <= 50


def test_a_thread_made_by_hand_does_not_inherit_the_deadline():
    seen: list[float | None] = []
    with deadline(5):
        thread = threading.Thread(target=lambda: seen.append(remaining()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_a_nested_call_in_a_task_of_its_own_ends_at_the_inherited_deadline(backend: str):
    ended: list[tuple[type[Exception], float]] = []

    async def main() -> None:
        with virtual_time(patience=60) as clock:

            async def child() -> None:
                try:
                    await timeout(9)(clock.sleep_async)(99)
                except TimeoutError as error:
                    ended.append((type(error), clock.now()))

            async with anyio.create_task_group() as tasks:
                with deadline(5):  # of a block that cancels nothing by itself
                    tasks.start_soon(child)

    anyio.run(main, backend=backend)
    assert ended == [(DeadlineExceededError, 5)]


# -- on the fast path of asyncio, by the clock of the loop -----------------------------------------------------------


class LoopClock(VirtualClock):
    """Nothing of its own: only to say that a clock is not the system's."""


async def forever() -> None:
    await asyncio.Event().wait()


def on_asyncio(main: Callable) -> object:
    return asyncio.run(main())


def test_a_bare_tasks_limit_is_cut_to_the_deadline_it_inherits():
    async def main() -> None:
        async def child() -> None:
            with pytest.raises(DeadlineExceededError):
                await timeout(1)(forever)()

        with deadline(0.02):
            task = asyncio.create_task(child())
        await task

    on_asyncio(main)


def test_an_async_limit_in_a_sync_block_is_cut_to_its_deadline():
    async def main() -> None:
        with deadline(0.02), pytest.raises(DeadlineExceededError):
            await timeout(1)(forever)()
        with deadline(0.02), pytest.raises(DeadlineExceededError):
            async with timeout(1):
                await forever()

    on_asyncio(main)


def test_a_passed_deadline_fails_calls_on_the_fast_path_as_well():
    reached: list[str] = []

    async def work() -> None:
        reached.append("work")

    async def main() -> None:
        with deadline(1e-9):
            with pytest.raises(DeadlineExceededError):
                await timeout(1)(work)()

    on_asyncio(main)
    assert reached == []


def test_a_limit_within_an_async_deadline_of_the_same_task_is_the_deadlines():
    async def main() -> None:
        with pytest.raises(DeadlineExceededError) as caught:
            async with deadline(0.02):
                await timeout(1)(forever)()
        assert caught.value.limit == 0.02
        with pytest.raises(CallTimeoutError):
            async with deadline(50):
                await timeout(0.02)(forever)()

    on_asyncio(main)


def test_a_limit_on_asyncio_is_known_to_the_task_it_cancels_and_a_deadline_to_what_that_starts_as_well():
    async def child() -> float | None:
        return remaining()

    async def parent() -> list[float | None]:
        return [await asyncio.create_task(child()), await asyncio.to_thread(remaining)]

    assert asyncio.run(timeout(50)(parent)()) == [None, None]
    assert None not in asyncio.run(deadline(50)(parent)())


def test_a_retry_in_another_function_knows_of_a_limit_but_on_asyncio_where_it_is_cancelled(backend: str):
    @retry_on_category(base_delay=30, jitter="none")
    async def inner() -> None:
        raise ConnectionResetError

    @timeout(0.05)
    async def outer() -> None:
        await inner()

    with pytest.raises(CallTimeoutError if backend == "asyncio" else ConnectionResetError):
        anyio.run(outer, backend=backend)


# -- clocks ---------------------------------------------------------------------------------------------------------


def test_a_deadline_of_the_systems_clock_means_nothing_in_virtual_time(runner: Runner):
    def ask() -> float | None:
        with virtual_time():
            return remaining()

    async def ask_async() -> float | None:
        return ask()

    assert runner.run(deadline(5)(ask), deadline(5)(ask_async)) is None


def test_a_virtual_deadline_means_nothing_to_another_clock():
    with virtual_time() as clock, deadline(5):
        with using_clock(VirtualClock()):
            assert remaining() is None
            with deadline(9):
                assert remaining() == 9
        assert remaining() == 5
        clock.advance(1)
        assert remaining() == 4


def test_retries_heed_only_the_deadlines_of_their_own_clock(runner: Runner):
    def decorate(fn: Callable) -> Callable:
        return retry_on_category(base_delay=10, jitter="none")(fn)

    with deadline(5):
        story = runner.play(decorate, ConnectionResetError(), ConnectionResetError(), "ok")
    assert (story.answer, story.now) == ("ok", 30)


# -- nothing is left behind -----------------------------------------------------------------------------------------


class Stop(BaseException):
    pass


@pytest.mark.parametrize("raised", [None, ValueError, Stop])
def test_a_deadline_leaves_nothing_behind_when_its_block_ends(runner: Runner, raised: type[BaseException] | None):
    def work() -> None:
        assert remaining() is not None
        if raised is not None:
            raise raised

    async def work_async() -> None:
        work()

    def sync() -> None:
        for guard in (deadline(5), timeout(5)):
            try:
                guard(work)()
            except (ValueError, Stop):
                pass
            assert remaining() is None

    async def asynchronous() -> None:
        for guard in (deadline(5), timeout(5)):
            try:
                await guard(work_async)()
            except (ValueError, Stop):
                pass
            assert remaining() is None
            try:
                async with guard:
                    work()
            except (ValueError, Stop):
                pass
            assert remaining() is None

    runner.run(sync, asynchronous)
    with virtual_time():
        runner.run(sync, asynchronous)


def test_a_deadline_leaves_nothing_behind_when_its_task_is_cancelled(backend: str):
    async def main() -> None:
        with anyio.CancelScope() as scope:
            try:
                async with deadline(60):
                    scope.cancel()
                    await anyio.sleep_forever()
            finally:
                assert remaining() is None
        assert remaining() is None

    anyio.run(main, backend=backend)


def test_a_bare_task_that_outlives_the_deadlines_block_keeps_to_it():
    async def main(clock: VirtualClock) -> None:
        seen: list[float | None] = []
        go = asyncio.Event()

        async def later() -> None:
            await go.wait()
            seen.append(remaining())

        async with deadline(5):
            task = asyncio.create_task(later())
            await asyncio.sleep(0)
        assert remaining() is None
        clock.advance(7)
        go.set()
        await task
        assert seen == [0.0]

    async def under() -> None:
        with virtual_time(patience=5) as clock:
            await main(clock)

    asyncio.run(under())
