"""The scenarios of CPython's tests of `asyncio.timeout`, for that and for ours: a block, a decorator, in a stack.

Time jumps.
"""

from __future__ import annotations

import asyncio
import gc
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from resilience import CallTimeoutError, circuit_breaker, retry_on_category, subscribe, timeout
from resilience._asyncio_timeout import remaining_for_task
from tests.loops import Body, Limited, by_asyncio, by_block, by_function, by_stack, forever, pass_time, run, run_trio

TINY = 1e-300
"""Less than a clock can tell."""


@pytest.fixture(params=[by_asyncio, by_block, by_function, by_stack])
def limited(request: pytest.FixtureRequest) -> Limited:
    return request.param


@pytest.fixture(params=[by_block, by_function, by_stack])
def ours(request: pytest.FixtureRequest) -> Limited:
    return request.param


def now() -> float:
    return asyncio.get_running_loop().time() - 1000


def me() -> asyncio.Task[Any]:
    return asyncio.current_task()


async def ends(task: asyncio.Task[Any]) -> asyncio.Task[Any]:
    """Wait for a task, whatever its outcome."""
    await asyncio.wait([task])
    return task


async def at(moment: float, do: Callable[[], object]) -> None:
    """Do something at a moment of the loop's time."""
    asyncio.get_running_loop().call_at(1000 + moment, do)


# -- one limit -------------------------------------------------------------------------------------------------------


def test_what_takes_too_long_ends_on_time_and_leaves_the_task_as_it_was(limited: Limited):
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await limited(2, forever)
        assert (now(), me().cancelling()) == (2, 0)
        await asyncio.sleep(1)

    run(main())


def test_the_body_sees_one_cancellation(limited: Limited):
    seen = []

    async def body() -> None:
        try:
            await forever()
        except asyncio.CancelledError as error:
            seen.append((error.args, me().cancelling()))
            raise

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await limited(2, body)

    run(main())
    assert seen == [((), 1)]


def test_what_ends_in_time_is_not_cancelled_later(limited: Limited):
    async def main() -> None:
        await limited(2, lambda: asyncio.sleep(1))
        await asyncio.sleep(5)
        assert (now(), me().cancelling()) == (6, 0)

    run(main())


def test_what_ends_at_the_very_moment_is_too_late_when_the_limit_was_there_first(limited: Limited):
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await limited(2, lambda: asyncio.sleep(2))

    run(main())


def test_the_shortest_limit_comes_before_the_next_step(limited: Limited):
    async def main() -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await limited(TINY, lambda: asyncio.sleep(0))
        assert me().cancelling() == 0

    run(main())


def test_the_shortest_limit_admits_a_body_that_does_not_wait(limited: Limited):
    async def body() -> str:
        return "done"

    async def main() -> None:
        assert await limited(1e-12, body) == "done"
        await asyncio.sleep(1)

    run(main())


@pytest.mark.parametrize("seconds", [0, -11, None])
def test_no_time_at_all_and_no_limit_are_refused_where_they_are_written(seconds: float | None):
    with pytest.raises((ValueError, TypeError), match="seconds="):
        timeout(seconds)


def test_an_error_of_the_bodys_own_passes(limited: Limited):
    own = KeyError("mine")

    async def body() -> None:
        raise own

    async def main() -> None:
        with pytest.raises(KeyError) as caught:
            await limited(2, body)
        assert caught.value is own
        assert caught.value.__cause__ is caught.value.__context__ is None
        await asyncio.sleep(5)

    run(main())


def test_an_error_raised_while_cancelled_passes(limited: Limited):
    async def body() -> None:
        try:
            await forever()
        finally:
            raise ZeroDivisionError

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await limited(2, body)
        assert me().cancelling() == 0
        await asyncio.sleep(5)

    run(main())


def test_code_that_blocks_past_the_limit_and_never_waits_again_returns(limited: Limited):
    async def body() -> str:
        pass_time(10)
        return "late"

    async def main() -> None:
        assert await limited(2, body) == "late"
        await asyncio.sleep(1)
        assert (now(), me().cancelling()) == (11, 0)

    run(main())


def test_code_that_blocks_past_the_limit_is_cancelled_where_it_waits_next(limited: Limited):
    async def body() -> None:
        await asyncio.sleep(0)
        pass_time(10)
        await asyncio.sleep(1)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await limited(2, body)
        assert now() == 10

    run(main())


def test_a_task_whose_limit_passes_is_not_a_cancelled_one(limited: Limited):
    async def outer() -> str:
        with pytest.raises(TimeoutError):
            await limited(2, forever)
        return "went on"

    async def main() -> None:
        task = await ends(asyncio.create_task(outer()))
        assert not task.cancelled()
        assert task.result() == "went on"

    run(main())


def test_a_cancellation_that_is_swallowed_does_not_come_again(limited: Limited):
    async def body() -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            await asyncio.sleep(5)
        return "all the same"

    async def main() -> None:
        assert await limited(2, body) == "all the same"
        assert (now(), me().cancelling()) == (7, 0)
        await asyncio.sleep(1)

    run(main())


# -- limits inside limits --------------------------------------------------------------------------------------------


def nested(limited: Limited, outer: float, inner: float, body: Body = forever) -> tuple[list[object], list[object]]:
    """Return the outcomes of the inner and the outer limit, each with its time."""
    inside: list[object] = []
    outside: list[object] = []

    async def within() -> None:
        try:
            await limited(inner, body)
        except BaseException as error:
            inside.extend([isinstance(error, TimeoutError), now(), me().cancelling()])
            if not isinstance(error, TimeoutError):
                raise
        await asyncio.sleep(100)

    async def main() -> None:
        try:
            await limited(outer, within)
        except TimeoutError:
            outside.extend([True, now(), me().cancelling()])

    run(main())
    return inside, outside


def test_the_inner_limit_passes_first_and_the_outer_one_goes_on(limited: Limited):
    assert nested(limited, outer=5, inner=2) == ([True, 2, 0], [True, 5, 0])


def test_the_outer_limit_passes_first_through_the_inner_one(limited: Limited):
    assert nested(limited, outer=2, inner=5) == ([False, 2, 1], [True, 2, 0])


def test_of_two_limits_at_the_same_moment_the_outer_one_raises(limited: Limited):
    assert nested(limited, outer=2, inner=2) == ([False, 2, 1], [True, 2, 0])


def test_of_two_limits_that_pass_while_the_loop_is_busy_the_outer_one_raises(limited: Limited):
    async def busy() -> None:
        pass_time(10)
        await asyncio.sleep(1)

    assert nested(limited, outer=5, inner=2, body=busy) == ([False, 10, 1], [True, 10, 0])
    assert nested(limited, outer=2, inner=5, body=busy) == ([False, 10, 1], [True, 10, 0])


def test_an_outer_limit_that_passes_during_the_inner_ones_cleanup_raises(limited: Limited):
    async def body() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(10)

    assert nested(limited, outer=5, inner=2, body=body) == ([False, 5, 1], [True, 5, 0])


def test_a_limit_in_a_finally_block_holds(limited: Limited):
    seen = []

    async def body() -> None:
        try:
            await forever()
        finally:
            with pytest.raises(TimeoutError):
                await limited(3, forever)
            seen.append((now(), me().cancelling()))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await limited(2, body)
        assert me().cancelling() == 0

    run(main())
    assert seen == [(5, 1)]


# -- other people's cancellations ------------------------------------------------------------------------------------


def test_a_cancelled_error_raised_by_hand_passes_and_the_task_goes_on(limited: Limited):
    by_hand = asyncio.CancelledError("by hand")

    async def body() -> None:
        raise by_hand

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError) as caught:
            await limited(2, body)
        assert caught.value is by_hand
        assert me().cancelling() == 0
        await asyncio.sleep(5)

    run(main())


def test_a_cancelled_error_raised_by_hand_after_the_limit_but_before_the_loop_noticed_passes(limited: Limited):
    async def body() -> None:
        pass_time(10)
        raise asyncio.CancelledError

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await limited(2, body)
        await asyncio.sleep(5)

    run(main())


def test_a_cancelled_error_raised_by_hand_in_place_of_the_limits_is_taken_for_it(limited: Limited):
    async def body() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            raise asyncio.CancelledError("by hand") from None

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await limited(2, body)
        assert me().cancelling() == 0

    run(main())


@pytest.mark.parametrize(
    ("moment", "why"),
    [
        (1, "before the limit"),
        (2, "at the same moment, scheduled before it began"),
        (3, "after it, during the clean-up"),
    ],
)
def test_a_cancellation_from_outside_passes(limited: Limited, moment: float, why: str):
    async def body() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(2)

    async def main() -> None:
        task = asyncio.create_task(limited(2, body))
        await at(moment, lambda: task.cancel(why))
        await ends(task)
        assert task.cancelled()
        assert task.cancelling() == 1
        # Before the limit: the clean-up takes its two seconds. Else the second cancellation cuts it short.
        assert now() == {1: 2, 2: 4, 3: 3}[moment]

    run(main())


def test_a_cancellation_from_outside_right_after_the_limits_own_passes(limited: Limited):
    async def main() -> None:
        task = asyncio.create_task(limited(2, forever))
        await asyncio.sleep(0)
        await at(2, task.cancel)  # behind the limit's own timer
        await ends(task)
        assert task.cancelled()
        assert task.cancelling() == 1

    run(main())


def test_a_body_that_cancels_its_own_task_is_cancelled(limited: Limited):
    async def body() -> None:
        me().cancel()
        await forever()

    async def main() -> None:
        task = await ends(asyncio.create_task(limited(2, body)))
        assert (task.cancelled(), task.cancelling(), now()) == (True, 1, 0)

    run(main())


def test_a_task_cancelled_before_it_enters_is_cancelled_inside(limited: Limited):
    reached = []

    async def body() -> None:
        reached.append("before it waits")
        await asyncio.sleep(0)
        reached.append("never")

    async def main() -> None:
        me().cancel()
        with pytest.raises(asyncio.CancelledError):
            await limited(2, body)
        assert me().cancelling() == 1

    run(main())
    assert reached == ["before it waits"]


def test_a_task_cancelled_before_its_first_step_never_enters(limited: Limited):
    async def main() -> None:
        task = asyncio.create_task(limited(2, forever))
        task.cancel()
        assert (await ends(task)).cancelled()
        assert now() == 0

    run(main())


def test_a_limit_in_the_clean_up_of_a_cancelled_task_holds_and_keeps_the_count(limited: Limited):
    async def main() -> None:
        me().cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(1)
        with pytest.raises(TimeoutError):
            await limited(2, forever)
        assert (now(), me().cancelling()) == (2, 1)
        me().uncancel()

    run(main())


def test_a_cancellation_during_the_clean_up_of_a_cancelled_task_passes(limited: Limited):
    async def body() -> None:
        me().cancel()
        await forever()

    async def main() -> None:
        me().cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(1)
        with pytest.raises(asyncio.CancelledError):
            await limited(2, body)
        assert (now(), me().cancelling()) == (0, 2)

    run(main())


def test_a_cancellation_the_body_takes_back_leaves_the_limit_its_own(limited: Limited):
    async def body() -> None:
        me().cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(0)
        me().uncancel()
        await forever()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await limited(2, body)
        assert me().cancelling() == 0

    run(main())


def test_a_cancellation_from_outside_that_the_body_swallows_does_not_stop_the_limit(limited: Limited):
    async def body() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            await forever()

    async def main() -> None:
        task = asyncio.create_task(limited(2, body))
        await at(1, task.cancel)
        await ends(task)
        # The first request was not taken back: it is still pending, and ends the task.
        assert (task.cancelled(), task.cancelling(), now()) == (True, 1, 2)

    run(main())


# -- tasks inside, and limits inside tasks ---------------------------------------------------------------------------


def test_the_tasks_of_a_group_inside_a_limit_are_cancelled_with_it(limited: Limited):
    cancelled = []

    async def child(number: int) -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    async def body() -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(3):
                tasks.create_task(child(number))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await limited(2, body)
        assert (now(), me().cancelling()) == (2, 0)

    run(main())
    assert sorted(cancelled) == [0, 1, 2]


def test_a_group_that_fails_inside_a_limit_fails_as_a_group(limited: Limited):
    async def fail() -> None:
        await asyncio.sleep(1)
        raise LookupError

    async def body() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())
            tasks.create_task(forever())

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await limited(2, body)
        assert isinstance(caught.value.exceptions[0], LookupError)
        assert now() == 1
        await asyncio.sleep(5)

    run(main())


def test_a_group_that_fails_while_the_limit_cancels_it_fails_as_a_group(limited: Limited):
    async def fail() -> None:
        try:
            await forever()
        finally:
            raise LookupError

    async def body() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await limited(2, body)
        assert isinstance(caught.value.exceptions[0], LookupError)
        assert me().cancelling() == 0
        await asyncio.sleep(5)

    run(main())


def test_a_limit_that_passes_in_a_task_of_a_group_is_that_tasks_error(limited: Limited):
    async def main() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(limited(2, forever))
                other = tasks.create_task(limited(5, forever))
        assert [isinstance(error, TimeoutError) for error in caught.value.exceptions] == [True]
        assert other.cancelled()
        assert now() == 2

    run(main())


def test_a_cancelled_child_task_is_not_taken_for_an_expired_limit(limited: Limited):
    async def main() -> None:
        child = asyncio.create_task(forever())
        await at(1, child.cancel)
        with pytest.raises(asyncio.CancelledError):
            await limited(2, lambda: child)
        assert (now(), me().cancelling()) == (1, 0)
        await asyncio.sleep(5)

    run(main())


def test_a_shielded_child_outlives_the_limit(limited: Limited):
    async def main() -> None:
        child = asyncio.create_task(asyncio.sleep(5, "done"))
        with pytest.raises(TimeoutError):
            await limited(2, lambda: asyncio.shield(child))
        assert await child == "done"

    run(main())


def test_tasks_at_the_same_time_have_their_own_limits(limited: Limited):
    async def one(after: float) -> float:
        await asyncio.sleep(after)
        try:
            await limited(2, forever)
        except TimeoutError:
            return now()

    async def main() -> None:
        assert await asyncio.gather(one(0), one(1), one(1.5)) == [2, 3, 3.5]

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks that start at once came with 3.12")
def test_a_task_that_starts_at_once_has_its_limit(limited: Limited):
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        task = await ends(asyncio.create_task(limited(2, forever)))
        assert isinstance(task.exception(), TimeoutError)
        assert (now(), me().cancelling()) == (2, 0)

    run(main())


def test_a_limit_within_a_wait_for(limited: Limited):
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(limited(5, forever), 2)
        assert (now(), me().cancelling()) == (2, 0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(limited(2, forever), 5)
        assert (now(), me().cancelling()) == (4, 0)

    run(main())


# -- where it came from ----------------------------------------------------------------------------------------------


def history(error: BaseException) -> Iterator[type]:
    while (error := error.__context__) is not None:
        yield type(error)


def test_the_error_of_a_block_has_its_cancellation_as_context():
    async def main() -> None:
        with pytest.raises(CallTimeoutError) as caught:
            await by_block(2, forever)
        assert asyncio.CancelledError in history(caught.value)

    run(main())


@pytest.mark.parametrize(
    "limited",
    [
        pytest.param(by_asyncio, marks=pytest.mark.skipif(sys.version_info < (3, 13), reason="said since 3.13")),
        by_block,
    ],
)
def test_the_history_of_an_error_raised_while_cancelled_names_the_limit(limited: Limited):
    async def fail() -> None:
        try:
            await forever()
        finally:
            raise LookupError

    async def fail_in_a_group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())

    async def main() -> None:
        with pytest.raises(LookupError) as caught:
            await limited(2, fail)
        assert [*history(caught.value)][:2] == [TimeoutError, asyncio.CancelledError]
        assert isinstance(caught.value.__context__.__cause__, asyncio.CancelledError)
        with pytest.raises(ExceptionGroup) as group:
            await limited(2, fail_in_a_group)
        assert [*history(group.value.exceptions[0])][:2] == [TimeoutError, asyncio.CancelledError]

    run(main())


def test_an_error_after_a_foreign_cancellation_has_no_limit_in_its_context(limited: Limited):
    async def body() -> None:
        try:
            await forever()
        finally:
            raise LookupError

    async def main() -> None:
        task = asyncio.create_task(limited(2, body))
        await at(1, task.cancel)
        await ends(task)
        assert TimeoutError not in history(task.exception())

    run(main())


# -- in the wrong place ----------------------------------------------------------------------------------------------


def test_a_block_left_in_another_task_than_it_was_entered_in_is_refused():
    async def main() -> None:
        block = timeout(2)
        await asyncio.create_task(block.__aenter__())
        with pytest.raises(RuntimeError, match="entered in another task"):
            await block.__aexit__(None, None, None)
        await asyncio.sleep(5)  # the task that entered is gone: none is cancelled

    run(main())


def test_outside_of_a_task_a_limit_cancels_nothing(ours: Limited):
    """A coroutine that is stepped through by hand, in a callback of the loop."""
    raised: list[BaseException] = []

    def step() -> None:
        coroutine = ours(2, forever)
        try:
            coroutine.send(None)
        except BaseException as error:
            raised.append(error)
        finally:
            coroutine.close()

    async def main() -> None:
        asyncio.get_running_loop().call_soon(step)
        await asyncio.sleep(1)

    run(main())
    assert [isinstance(error, Exception) for error in raised] == [True]


def test_one_object_may_limit_many_blocks():
    async def main() -> None:
        two = timeout(2)
        for _ in range(2):  # one after the other
            with pytest.raises(CallTimeoutError):
                async with two:
                    await forever()
        async with two:  # inside one another
            async with two:
                await asyncio.sleep(1)
            await asyncio.sleep(0.5)

        async def one(seconds: float) -> bool:
            try:
                async with two:
                    await asyncio.sleep(seconds)
            except CallTimeoutError:
                return False
            return True

        assert await asyncio.gather(one(1), one(3), one(1.5)) == [True, False, True]  # at the same time

    run(main())


def test_an_abandoned_coroutine_leaves_no_limit_behind(ours: Limited):
    async def main() -> None:
        coroutine = ours(77.0, forever)
        coroutine.send(None)
        assert remaining_for_task() == 77.0
        coroutine.close()
        del coroutine
        gc.collect()
        assert remaining_for_task() == math.inf

    run(main())


# -- cancelled calls count for nothing -------------------------------------------------------------------------------


def test_a_cancelled_call_counts_for_nothing_and_one_that_times_out_for_the_circuit(backend: str):
    heard: list[str] = []

    async def main() -> None:
        breaker = circuit_breaker("c", failure_threshold=1)
        guarded = retry_on_category(attempts=1)(breaker(timeout(2)(anyio.sleep_forever)))
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(guarded)
                await anyio.sleep(1)
                scope.cancel()
        assert scope.cancelled_caught
        assert (breaker.current_state, heard) == ("closed", [])
        with pytest.raises(CallTimeoutError):
            await guarded()
        assert breaker.current_state == "open"
        assert "call.timed_out" in heard

    with subscribe(lambda event: heard.append(event.name)):
        run(main()) if backend == "asyncio" else run_trio(main)
