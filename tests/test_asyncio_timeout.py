"""The shared timer of async limits: `asyncio.timeout` is the model, on a loop whose time jumps."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import weakref
from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resilience import CallTimeoutError, circuit_breaker, deadline, fallback, remaining, retry_on_category, timeout
from resilience._asyncio_timeout import SharedTimeout, finish_timeout, remaining_for_task, shared_timeout
from tests.loops import (
    Body,
    JumpingLoop,
    Limited,
    awaiting,
    by_asyncio,
    by_block,
    by_function,
    by_stack,
    forever,
    run,
)

# -- the model ------------------------------------------------------------------------------------------------------


async def by_two_gates(seconds: float, body: Body) -> None:
    await circuit_breaker("c")(timeout(seconds)(circuit_breaker("d")(awaiting(body))))()


# No two sums of a few of these are alike: what happens at the same moment has no order to compare.
moments = st.sampled_from([math.sqrt(prime) for prime in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29)])
steps = st.deferred(
    lambda: st.lists(
        st.one_of(
            st.tuples(st.just("sleep"), moments),
            st.tuples(st.just("limit"), moments, steps),
            st.tuples(st.just("swallow"), steps),
            st.tuples(st.just("at last"), steps, steps),
            st.tuples(st.just("raise")),
            st.tuples(st.just("raise instead"), steps),
            st.tuples(st.just("give up"), steps),
        ),
        max_size=3,
    )
)


async def play(program: list[Any], limited: Limited, said: list[object]) -> None:
    for what, *arguments in program:
        now = asyncio.get_running_loop().time
        said.append((what, now(), asyncio.current_task().cancelling()))
        match what:
            case "sleep":
                await asyncio.sleep(arguments[0])
            case "limit":
                await limited(arguments[0], lambda inner=arguments[1]: play(inner, limited, said))
            case "swallow":
                try:
                    await play(arguments[0], limited, said)
                except asyncio.CancelledError:
                    said.append("swallowed")
            case "at last":
                try:
                    await play(arguments[0], limited, said)
                finally:
                    await play(arguments[1], limited, said)
            case "raise":
                raise LookupError
            case "raise instead":
                try:
                    await play(arguments[0], limited, said)
                except asyncio.CancelledError:
                    raise LookupError from None
            case "give up":
                try:
                    await play(arguments[0], limited, said)
                except TimeoutError:
                    said.append("gave up")


async def story(program: list[Any], cancels: list[float], limited: Limited) -> list[object]:
    """Return everything that can be seen of *program*, whose task is cancelled from outside at some moments."""
    said: list[object] = []
    loop = asyncio.get_running_loop()
    task = loop.create_task(play(program, limited, said))
    for moment in cancels:
        loop.call_later(moment, task.cancel)
    while not task.done():
        await asyncio.wait([task])
    said += ["cancelled"] if task.cancelled() else [type(task.exception()).__mro__[-5:]]
    return [*said, task.cancelling(), loop.time()]


def comparable(said: list[object]) -> list[object]:
    # A CallTimeoutError is a TimeoutError, and more.
    return ["timed out" if isinstance(thing, tuple) and TimeoutError in thing else thing for thing in said]


@pytest.mark.parametrize("limited", [by_block, by_function, by_stack, by_two_gates])
@settings(max_examples=100)
@given(program=steps, cancels=st.lists(moments, max_size=2, unique=True))
@example([("limit", 2.0, [("sleep", 3.0)])], [])
@example([("limit", 2.0, [("sleep", 3.0)])], [1.0])  # another cancellation was first
@example([("limit", 2.0, [("at last", [("sleep", 3.0)], [("sleep", 3.5)])])], [4.0])  # and second
@example([("limit", 2.0, [("swallow", [("sleep", 3.0)]), ("sleep", 1.5)])], [])  # the limit does not insist
@example([("limit", 3.0, [("limit", 2.0, [("at last", [("sleep", 2.5)], [("sleep", 7.0)])])])], [])  # both
@example([("swallow", [("sleep", 3.0)]), ("limit", 2.0, [("sleep", 3.0)])], [1.0])  # another one, before it began
@example([("limit", 2.0, [("raise instead", [("sleep", 3.0)])]), ("sleep", 1.0)], [])
def test_whatever_happens_under_a_limit_comes_out_as_under_asyncio_timeout(
    limited: Limited, program: list[Any], cancels: list[float]
):
    expected = run(story(program, cancels, by_asyncio))
    assert comparable(run(story(program, cancels, limited))) == comparable(expected)


# -- one timer for many ---------------------------------------------------------------------------------------------


def test_each_call_expires_at_its_own_time():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        ended = []

        @timeout(10)
        async def hang() -> None:
            await forever()

        async def one(after: float) -> None:
            await asyncio.sleep(after)
            with pytest.raises(CallTimeoutError):
                await hang()
            ended.append(loop.time() - begin)

        async with asyncio.TaskGroup() as tasks:
            for after in (0.0, 1.5, 1.75, 9.0, 30.0):
                tasks.create_task(one(after))
        assert ended == [10.0, 11.5, 11.75, 19.0, 40.0]

    run(main())


def test_calls_that_end_in_time_arm_the_loops_timer_once_in_a_limit(monkeypatch: pytest.MonkeyPatch):
    armed = []
    call_at = JumpingLoop.call_at
    monkeypatch.setattr(
        JumpingLoop,
        "call_at",
        lambda loop, when, call, *args: (armed.append(when), call_at(loop, when, call, *args))[1],
    )

    @timeout(10)
    async def quick() -> None:
        pass

    async def main() -> None:
        for _ in range(100):
            await quick()

    run(main())
    assert len(armed) == 1


def test_where_many_calls_expire_the_table_is_packed_now_and_then():
    """A dict looks at the places of all that was taken out before it finds its first entry."""

    async def main() -> None:
        timer = shared_timeout(50.0)
        packed = []

        class Table(dict):
            def clear(self) -> None:
                packed.append(len(self))
                super().clear()

        async def hang() -> None:
            with pytest.raises(CallTimeoutError):
                await timeout(50.0)(forever)()

        tasks = []
        for number in range(5000):
            tasks.append(asyncio.create_task(hang()))
            await asyncio.sleep(0.001)
            if not number:
                timer._last.table = Table(timer._last.table)
        await asyncio.wait(tasks)
        assert packed == [3975, 2950, 1925, 900]
        assert not timer._last.table

    run(main())


def test_a_call_leaves_nothing_behind_however_it_ends():
    async def main() -> None:
        table = shared_timeout(7.0)

        @timeout(7.0)
        async def call(error: BaseException | None = None) -> None:
            await asyncio.sleep(0)
            if error is not None:
                raise error

        await call()
        for error in (LookupError(), asyncio.CancelledError()):
            with pytest.raises(type(error)):
                await call(error)
        left = call()
        left.send(None)
        assert len(table._last.table) == 1
        left.close()
        assert table._last.table == {}

    run(main())


def test_limits_of_one_length_inside_one_another_do_not_mix():
    order = []

    async def main() -> None:
        @timeout(5)
        async def inner() -> None:
            await asyncio.sleep(4)
            order.append("inner")

        @timeout(5)
        async def outer() -> None:
            await asyncio.sleep(2)
            await inner()

        with pytest.raises(CallTimeoutError, match="outer took longer"):
            await outer()
        assert asyncio.current_task().cancelling() == 0

    run(main())
    assert order == []


def test_event_loops_in_several_threads_use_one_guarded_function():
    together = threading.Barrier(4, timeout=10)

    @timeout(1000)
    async def call(number: int) -> int:
        await asyncio.sleep(0)
        return number

    failed = []

    async def main() -> None:
        together.wait()
        for number in range(500):
            if await call(number) != number:
                failed.append(number)

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert failed == []


def test_a_loop_that_is_gone_is_not_kept():
    @timeout(1000)
    async def call() -> None: ...

    loop = JumpingLoop()
    loop.run_until_complete(call())
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None
    run(call())


def test_outside_of_a_task_a_limit_cancels_nothing():
    timer = SharedTimeout(1.0)
    assert timer.start() is None
    found = []

    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: found.append(timer.start()))
        await asyncio.sleep(0.1)
        watch = timer.start()
        assert watch is not None
        assert finish_timeout(watch) is False

    run(main())
    assert found == [None]


def test_trio_as_a_guest_of_asyncio_keeps_its_own_limits():
    trio = pytest.importorskip("trio")

    @fallback(default="late", on="timeout")
    @timeout(0.01)
    async def hang() -> str:
        await trio.sleep_forever()
        return "never"

    async def main() -> object:
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        trio.lowlevel.start_guest_run(
            hang,
            run_sync_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe,
            done_callback=lambda outcome: done.set_result(outcome.unwrap()),
        )
        return await done

    assert asyncio.run(main()) == "late"


# -- limits on the happy path ---------------------------------------------------------------------------------------


def test_a_total_limit_and_one_for_each_attempt_hold_together():
    async def main() -> None:
        begin = asyncio.get_running_loop().time()
        began: list[float] = []

        @timeout(10)
        @retry_on_category(attempts=9, base_delay=1, jitter="none")
        @timeout(3)
        async def hang() -> None:
            began.append(asyncio.get_running_loop().time() - begin)
            await forever()

        with pytest.raises(CallTimeoutError, match="took longer than 10 s"):
            await hang()
        assert began == [0, 4, 9]
        assert asyncio.get_running_loop().time() - begin == 10

    run(main())


def test_a_total_limit_passes_while_a_retry_waits():
    async def main() -> None:
        @timeout(10)
        @retry_on_category(attempts=9, base_delay=4, max_delay=60, jitter="none")
        async def fail() -> None:
            raise ConnectionResetError

        with pytest.raises(CallTimeoutError):
            await fail()
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_a_limit_that_passes_counts_for_the_circuits_on_both_sides_of_it():
    async def main() -> None:
        around, inside = circuit_breaker("around"), circuit_breaker("inside")
        for guarded in (around(timeout(1)(forever)), timeout(1)(inside(forever))):
            with pytest.raises(CallTimeoutError):
                await guarded()
        assert (around.fail_counter, inside.fail_counter) == (1, 1)

    run(main())


def test_a_value_that_comes_although_the_limit_has_passed_is_returned():
    async def main() -> None:
        @timeout(1)
        async def stubborn() -> str:
            try:
                await forever()
            except asyncio.CancelledError:
                return "all the same"

        assert await stubborn() == "all the same"
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_a_limit_inside_a_cancel_scope_of_anyio_leaves_it_alone():
    async def main() -> None:
        with anyio.CancelScope() as scope:
            with pytest.raises(CallTimeoutError):
                await timeout(1)(forever)()
            await anyio.sleep(0)
        assert not scope.cancelled_caught
        with anyio.move_on_after(1) as scope:
            await timeout(2)(forever)()
        assert scope.cancelled_caught
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_a_value_that_comes_late_counts_once_for_the_circuit_around_it():
    async def main() -> None:
        breaker = circuit_breaker("b", failure_rate=0.5)

        @breaker
        @timeout(1)
        async def stubborn(seconds: float) -> str:
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                return "late"
            return "in time"

        assert await stubborn(0.5) == "in time"
        assert breaker.state.call_count == 1
        assert await stubborn(5) == "late"
        assert breaker.state.call_count == 2

    run(main())


# -- limits whose length differs from call to call -------------------------------------------------------------------


def armed(loop: asyncio.AbstractEventLoop) -> int:
    """Return how many timers the event loop holds that have not been cancelled."""
    return sum(not handle.cancelled() for handle in loop._scheduled)


async def by_remaining(seconds: float, body: Body) -> None:
    """A limit of what is left of a deadline."""
    async with deadline(seconds + 1000), deadline(seconds):
        await timeout(remaining() or 0)(awaiting(body))()


@pytest.mark.parametrize("limited", [by_asyncio, by_block, by_function, by_stack, by_two_gates, by_remaining])
def test_limits_of_which_each_has_another_length_leave_nothing_in_the_event_loop(limited: Limited):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(1000):  # lengths that no other test has: those share a timer
            await limited(30 + math.sqrt(2) + number / 7, lambda: asyncio.sleep(0))
        gc.collect()
        assert armed(loop) == 0
        assert len(loop._scheduled) <= 100  # cancelled ones: asyncio clears them away when they are many

    run(main())


def test_limits_of_other_lengths_that_overlap_leave_as_many_timers_as_calls():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        gate = asyncio.Event()
        tasks = [loop.create_task(by_block(50 + math.sqrt(5) + number / 7, gate.wait)) for number in range(1000)]
        await asyncio.sleep(0)
        assert armed(loop) == 1000
        gate.set()
        await asyncio.wait(tasks)
        assert armed(loop) == 0

    run(main())


def test_a_block_whose_length_comes_again_shares_one_timer():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(100):
            await by_block(31.25, lambda: asyncio.sleep(0))
        assert armed(loop) == 1

    run(main())


def test_lengths_that_come_again_leave_no_more_timers_than_there_are_places_for():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(1000):
            for _ in range(3):
                await by_block(40 + math.sqrt(3) + number / 7, lambda: asyncio.sleep(0))
        gc.collect()
        assert armed(loop) == 256

    run(main())


def test_a_function_guarded_for_a_few_calls_takes_its_timer_along():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(5):
            guarded = timeout(32 + math.sqrt(2) + number / 7)(awaiting(lambda: asyncio.sleep(0)))
            await guarded()
            await guarded()
            assert armed(loop) == 1
            del guarded
            gc.collect()
            assert armed(loop) == 0

    run(main())


def test_a_function_forgotten_in_another_thread_takes_its_timer_along():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        kept = [timeout(33.25)(awaiting(lambda: asyncio.sleep(0)))]
        await kept[0]()
        assert armed(loop) == 1

        def forget() -> None:
            kept.clear()
            gc.collect()

        thread = threading.Thread(target=forget)
        thread.start()
        thread.join()
        await asyncio.sleep(0)
        assert armed(loop) == 0

    run(main())


def test_remaining_sees_limits_of_all_lengths_and_those_of_its_own_task_alone():
    async def main() -> None:
        async def other() -> None:
            await by_block(0.5, forever)

        async def asked() -> float:
            return remaining_for_task()

        async def within() -> None:
            assert await by_block(4, asked) == 4
            assert await by_block(4, asked) == 4  # from the second one of a length on they share a timer
            assert await by_block(9, asked) == 6
            await asyncio.sleep(0.25)
            assert remaining_for_task() == 5.75

        others = [asyncio.create_task(other()) for _ in range(5)]
        await asyncio.sleep(0)
        await by_block(6, within)
        assert remaining_for_task() == math.inf
        for task in others:
            task.cancel()

    run(main())


def test_a_call_under_a_limit_of_its_own_expires_and_is_seen_by_remaining():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()

        async def hang() -> None:
            assert remaining_for_task() == 17.125
            await asyncio.sleep(1)
            assert remaining_for_task() == 16.125
            await forever()

        with pytest.raises(CallTimeoutError):
            await by_block(17.125, hang)
        assert loop.time() - begin == 17.125
        assert armed(loop) == 0
        assert remaining_for_task() == math.inf

    run(main())
