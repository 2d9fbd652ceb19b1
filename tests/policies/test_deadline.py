"""Deadlines: what they end, which code inherits them, and that no wait exceeds them. `remaining`: test_remaining."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience import (
    CallTimeoutError,
    DeadlineExceededError,
    ErrorCategory,
    StopReason,
    classify,
    deadline,
    remaining,
    retry_on_category,
    retrying,
    subscribe,
    timeout,
)
from resilience._deadline_context import deadline_or_inf
from resilience.clock import SYSTEM, current_clock, using_clock
from resilience.testing import VirtualClock, virtual_time
from tests.runners import Runner, Takes

down = ConnectionResetError("down")


class Busy(Exception):
    category = ErrorCategory.RATE_LIMIT

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after


def around(*decorators: Callable) -> Callable:
    def decorate(function: Callable) -> Callable:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def play_async(backend: str, main: Callable) -> None:
    """Run *main* with a virtual clock."""

    async def under() -> None:
        with virtual_time(patience=5) as clock:
            await main(clock)

    anyio.run(under, backend=backend)
    assert remaining() is None


# -- what it ends ---------------------------------------------------------------------------------------------------


def test_work_within_its_deadline_is_left_alone(runner: Runner):
    story = runner.play(deadline(5), Takes(4, "ok"))
    assert (story.answer, story.events, story.now) == ("ok", [], 4)


def test_an_async_call_is_cancelled_when_the_time_has_passed(backend: str):
    story = Runner(backend).play(deadline(5), Takes(9, "late"))
    error = story.answer
    assert isinstance(error, DeadlineExceededError)
    assert isinstance(error, TimeoutError)
    assert classify(error) is ErrorCategory.TIMEOUT
    assert str(error) == f"the deadline of 5 s has passed before {error.target} was over"
    assert story.now == 5
    (event,) = story.events
    assert (event.name, event.policy, event.limit) == ("call.timed_out", "deadline", 5)


def test_the_description_of_a_deadline_shows_its_seconds():
    assert repr(deadline(2.5)) == "deadline(2.5)"


def test_a_sync_call_is_not_stopped():
    assert Runner("sync").play(deadline(5), Takes(9, "late")).answer == "late"


def test_an_error_of_the_function_itself_reaches_the_caller_unchanged(runner: Runner):
    own = DeadlineExceededError("of another call")
    assert runner.play(deadline(5), own).answer is own


def test_an_async_block_is_cancelled(backend: str):
    async def main(clock: VirtualClock) -> None:
        with pytest.raises(DeadlineExceededError, match="the deadline of 5 s has passed before .*main was over"):
            async with deadline(5):
                await clock.sleep_async(9)
        assert clock.now() == 5
        assert remaining() is None

    play_async(backend, main)


def test_retries_stop_when_too_little_time_is_left_with_the_original_error(runner: Runner):
    error = ConnectionResetError("second")
    story = runner.play(around(deadline(10), retry_on_category(attempts=9, base_delay=4, jitter="none")), down, error)
    assert story.answer is error
    assert story.reached == 2  # at 0 and 4; the next would begin at 12
    assert story.now == 4
    assert error.resilience.reason is StopReason.DEADLINE
    assert story.events[-1].reason == "deadline"


def test_a_servers_hint_beyond_the_deadline_stops_the_retries(runner: Runner):
    busy = Busy(20)
    story = runner.play(around(deadline(10), retry_on_category(attempts=9)), busy, "never")
    assert story.answer is busy
    assert (story.reached, story.now) == (1, 0)
    assert busy.resilience.reason is StopReason.DEADLINE


@pytest.mark.parametrize(("needs", "reached"), [(0, 3), (1.9, 3), (2, 2), (5.9, 2), (6, 1), (100, 1)])
def test_no_attempt_begins_with_less_time_than_it_needs(runner: Runner, needs: float, reached: int):
    policy = retry_on_category(attempts=9, base_delay=4, exponential_base=1, jitter="none", min_attempt_time=needs)
    assert runner.play(around(deadline(10), policy), *[down] * 9).reached == reached


def test_no_attempt_begins_at_the_deadline_itself(runner: Runner):
    policy = retry_on_category(attempts=9, base_delay=5, exponential_base=1, jitter="none")
    assert runner.play(around(deadline(10), policy), *[down] * 9).reached == 2


def test_a_deadline_inside_retries_is_each_attempts_own(backend: str):
    story = Runner(backend).play(
        around(retry_on_category(base_delay=1, jitter="none"), deadline(5)), Takes(9), Takes(9), "ok"
    )
    assert story.answer == "ok"
    assert story.now == 13  # 5 + 1 + 5 + 2


def test_retries_of_a_block_keep_to_the_deadline_around_it(backend: str):
    def sync() -> int:
        with virtual_time() as clock, deadline(10):
            with pytest.raises(ConnectionResetError):
                for attempt in retrying(attempts=9, base_delay=4, jitter="none"):
                    with attempt:
                        raise ConnectionResetError
            return clock.now()

    async def main(clock: VirtualClock) -> None:
        async with deadline(10):
            with pytest.raises(ConnectionResetError):
                async for attempt in retrying(attempts=9, base_delay=4, jitter="none"):
                    with attempt:
                        raise ConnectionResetError
            assert clock.now() == 4

    assert sync() == 4
    play_async(backend, main)


def test_a_deadline_that_passes_while_an_async_retry_waits_for_its_attempt_ends_it(backend: str):
    story = Runner(backend).play(around(deadline(5), retry_on_category(base_delay=4, jitter="none")), down, Takes(9))
    assert isinstance(story.answer, DeadlineExceededError)
    assert (story.reached, story.now) == (2, 5)


def test_the_time_that_a_wait_strategy_takes_counts_towards_the_deadline(runner: Runner):
    def slow(state: object) -> float:
        state_clock[0].advance(4)
        return 3.0

    state_clock: list[VirtualClock] = []

    def decorate(fn: Callable) -> Callable:
        if not runner.is_async:

            def noting() -> object:
                state_clock.append(current_clock())
                return fn()

            return deadline(5)(retry_on_category(wait=slow)(noting))

        async def noting_async() -> object:
            state_clock.append(current_clock())
            return await fn()

        return deadline(5)(retry_on_category(wait=slow)(noting_async))

    error = ConnectionResetError()
    story = runner.play(decorate, error, "never")
    assert story.answer is error
    assert (story.reached, story.now) == (1, 4)
    assert error.resilience.reason is StopReason.DEADLINE


# -- nesting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("outer", "inner"), [(3, 9), (9, 3), (3, 3)])
def test_of_two_deadlines_the_earlier_one_holds(runner: Runner, outer: float, inner: float):
    seen: list[float | None] = []

    def note() -> None:
        seen.append(remaining())

    async def note_async() -> None:
        seen.append(remaining())

    with virtual_time():
        runner.run(deadline(outer)(deadline(inner)(note)), deadline(outer)(deadline(inner)(note_async)))
        call, call_async = deadline(inner)(note), deadline(inner)(note_async)

        async def nested() -> None:
            await call_async()

        runner.run(deadline(outer)(lambda: call()), deadline(outer)(nested))
    assert seen == [3, 3]


def test_the_outer_deadline_is_in_force_again_after_the_inner_one():
    with virtual_time() as clock:
        with deadline(9):
            with deadline(3):
                clock.advance(1)
                assert remaining() == 2
            assert remaining() == 8
        assert remaining() is None


@pytest.mark.parametrize(("outer", "inner", "whose"), [(3, 9, None), (9, 3, 3)])
def test_the_error_names_the_seconds_only_of_the_calls_own_deadline(
    backend: str, outer: float, inner: float, whose: float | None
):
    async def main(clock: VirtualClock) -> None:
        async def in_a_task() -> None:
            with pytest.raises(DeadlineExceededError) as caught:
                await deadline(inner)(sleeper(clock))()
            assert caught.value.limit == whose

        async with anyio.create_task_group() as tasks:
            with deadline(outer):
                tasks.start_soon(in_a_task)
                await anyio.lowlevel.checkpoint()
        assert clock.now() == 3

    play_async(backend, main)


def sleeper(clock: VirtualClock, seconds: float = 99) -> Callable:
    async def sleep() -> None:
        await clock.sleep_async(seconds)

    return sleep


def test_a_time_limit_inside_a_shorter_deadline_raises_the_deadlines_error(runner: Runner):
    story = runner.play(around(deadline(3), timeout(9)), Takes(99))
    assert isinstance(story.answer, DeadlineExceededError)
    assert story.now == 3 or not runner.is_async  # a thread sleeps on


def test_a_time_limit_inside_a_longer_deadline_raises_its_own_error(runner: Runner):
    story = runner.play(around(deadline(9), timeout(3)), Takes(99))
    assert isinstance(story.answer, CallTimeoutError)
    assert story.now == 3 or not runner.is_async


def test_a_time_limit_and_a_deadline_that_end_together_raise_the_error_of_either(runner: Runner):
    story = runner.play(around(deadline(3), timeout(3)), Takes(99))
    assert isinstance(story.answer, DeadlineExceededError if runner.is_async else CallTimeoutError)


def test_a_time_limit_is_cut_to_the_rest_of_the_deadline_after_retries(runner: Runner):
    stack = around(deadline(10), retry_on_category(attempts=9, base_delay=1, jitter="none"), timeout(6))
    story = runner.play(stack, Takes(6.5), Takes(4), "never")
    assert isinstance(story.answer, DeadlineExceededError)
    assert story.reached == 2
    assert story.now == 10 or not runner.is_async  # 6, 1 and 3 s


def test_a_time_limit_of_an_async_call_inside_a_sync_block_is_cut_short(backend: str):
    async def main(clock: VirtualClock) -> None:
        with deadline(3), pytest.raises(DeadlineExceededError):
            await timeout(9)(sleeper(clock))()
        assert clock.now() == 3

    play_async(backend, main)


def test_a_limited_call_under_a_passed_deadline_fails_at_once(runner: Runner):
    reached: list[str] = []

    def work() -> None:
        reached.append("work")

    async def work_async() -> None:
        reached.append("work")

    def sync() -> None:
        with virtual_time() as clock, deadline(1):
            clock.advance(2)
            for guard in (timeout(5), deadline(5), timeout(0.1)):
                with pytest.raises(DeadlineExceededError, match=r"^the deadline has passed before"):
                    guard(work)()
            with pytest.raises(DeadlineExceededError), deadline(5):
                reached.append("block")
            assert remaining() == 0

    async def asynchronous() -> None:
        with virtual_time() as clock, deadline(1):
            clock.advance(2)
            for guard in (timeout(5), deadline(5), timeout(0.1)):
                with pytest.raises(DeadlineExceededError, match=r"^the deadline has passed before"):
                    await guard(work_async)()
                with pytest.raises(DeadlineExceededError):
                    async with guard:
                        reached.append("block")
            assert remaining() == 0

    heard = []
    with subscribe(heard.append):
        runner.run(sync, asynchronous)
    assert reached == []
    assert {event.name for event in heard} == {"call.timed_out"}
    assert deadline_or_inf(VirtualClock()) == float("inf")


# -- no wait exceeds it ---------------------------------------------------------------------------------------------

failure = st.one_of(
    st.builds(ConnectionResetError), st.builds(TimeoutError), st.builds(Busy, st.floats(0, 80)), st.builds(ValueError)
)
step = st.builds(Takes, st.floats(0, 20), failure)


@given(
    limit=st.floats(0.01, 60),
    script=st.lists(step, max_size=12),
    base=st.floats(0, 30),
    jitter=st.sampled_from(["equal", "full", "decorrelated", "none"]),
    wait=st.none() | st.floats(0, 30),
    needs=st.floats(0, 5),
    where=st.sampled_from(["around", "enclosing"]),
)
def test_no_wait_ends_and_no_attempt_begins_after_the_deadline(limit, script, base, jitter, wait, needs, where):
    began: list[float] = []
    steps = iter(script)
    options: dict = {"base_delay": base, "jitter": jitter} if wait is None else {"wait": wait}
    with virtual_time() as clock:

        @retry_on_category(attempts=20, min_attempt_time=needs, **options)
        def call() -> str:
            began.append(clock.now())
            what = next(steps, None)
            if what is None:
                return "ok"
            clock.advance(what.seconds)
            raise what.step

        guarded = deadline(limit)(call if where == "around" else lambda: call())
        try:
            assert guarded() == "ok"
        except Exception as error:
            assert error in [each.step for each in script]
            report = error.resilience
            assert report.slept + sum(each.seconds for each in script[: report.made]) == pytest.approx(clock.now())
            if report.reason is StopReason.DEADLINE:
                assert report.time_left == max(0.0, limit - clock.now())
    assert all(moment + needs < limit for moment in began[1:])
    assert clock.now() <= max(limit, began[-1] + max((each.seconds for each in script), default=0))


def test_a_deadline_of_another_clock_cuts_no_limit_short(runner: Runner):
    def work() -> str:
        return "ok"

    async def work_async() -> str:
        await anyio.lowlevel.checkpoint()
        return "ok"

    def sync() -> str:
        with virtual_time(), deadline(5), using_clock(SYSTEM):
            return timeout(50)(work)()

    async def asynchronous() -> str:
        with virtual_time(), deadline(5), using_clock(SYSTEM):
            return await timeout(50)(work_async)()

    assert runner.run(sync, asynchronous) == "ok"


@pytest.mark.parametrize("limit", [timeout, deadline])
@pytest.mark.parametrize("form", ["function", "stack", "block"])
def test_the_traceback_of_a_cut_async_call_shows_where_it_hung(backend: str, limit, form: str):
    async def hang() -> None:
        await anyio.sleep_forever()

    async def block() -> None:
        async with limit(0.01):
            await hang()

    stack = retry_on_category(attempts=1)(limit(0.01)(hang))
    called = {"function": limit(0.01)(hang), "stack": stack, "block": block}[form]
    with pytest.raises(TimeoutError) as caught:
        anyio.run(called, backend=backend)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__cause__.__traceback__)]
    assert "hang" in names


def test_the_cause_of_the_error_shows_where_the_call_hung(backend: str):
    async def hang() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        with pytest.raises(DeadlineExceededError) as caught:
            await deadline(0.005)(hang)()
        shown = "".join(traceback.format_exception(caught.value))
        assert "in hang" in shown
        assert caught.value.__cause__ is not None

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_seconds_that_cannot_be_meant_are_refused_by_name(seconds: float):
    with pytest.raises(
        ValueError, match=rf"^seconds={seconds}: give seconds \(a number or a timedelta\) of more than 0"
    ):
        deadline(seconds)
