"""A deadline at the edge does not kill a substitute that stands ready: the fallback ends its call a little earlier."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

import anyio
import pytest

from resilience import (
    CircuitState,
    DeadlineExceededError,
    Degraded,
    circuit_breaker,
    deadline,
    fallback,
    remaining,
    retry_on_category,
    retrying,
    subscribe,
    timeout,
)
from resilience.clock import current_clock
from resilience.events import FallbackUsed, TimedOut
from resilience.policies.stale_cache import StaleEntry
from resilience.testing import virtual_time
from tests.runners import Runner, Takes

RESERVE = 0.1

down = ConnectionResetError("down")


async def hang() -> str:
    await current_clock().sleep_async(99)
    return "too late"


def hang_sync() -> str:
    current_clock().sleep(99)
    return "too late"


def at_the_edge(runner: Runner, decorate: Callable, seconds: float = 3.0) -> tuple[object, float]:
    """Call what *decorate* makes of a function that hangs, from a handler under a deadline; return answer and time."""
    inner = decorate(hang if runner.is_async else hang_sync)

    def handle() -> tuple[object, float]:
        return inner(), current_clock().now()

    async def handle_async() -> tuple[object, float]:
        return await inner(), current_clock().now()

    def run() -> object:
        with virtual_time(patience=0.05):
            return deadline(seconds)(handle)()

    async def run_async() -> object:
        with virtual_time(patience=0.05):
            return await deadline(seconds)(handle_async)()

    return runner.run(run, run_async)


def stack(*policies: Callable) -> Callable[[Callable], Callable]:
    def decorate(function: Callable) -> Callable:
        for policy in reversed(policies):
            function = policy(function)
        return function

    return decorate


# -- the substitute arrives in time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2.95, 60])
def test_a_call_that_hangs_is_answered_by_the_fallback_before_the_deadline_of_the_request(runner: Runner, limit: float):
    answer, now = at_the_edge(runner, stack(fallback(default="yesterday"), timeout(limit)))
    assert answer == "yesterday"
    # A sync call sleeps on in its thread, and takes the virtual time along.
    assert now == pytest.approx(min(limit, 3 - RESERVE)) or not runner.is_async


def test_the_whole_stack_is_ended_in_time_with_its_retries(runner: Runner):
    policies = (fallback(default="yesterday"), retry_on_category(attempts=9), timeout(1))
    answer, now = at_the_edge(runner, stack(*policies))
    assert answer == "yesterday"
    assert now <= 3 - RESERVE + 1e-9 or not runner.is_async


def test_an_async_call_needs_no_limit_of_its_own(backend: str):
    assert at_the_edge(Runner(backend), fallback(default="yesterday")) == ("yesterday", pytest.approx(2.9))


@pytest.mark.parametrize(
    "sources",
    [
        {"default": "yesterday"},
        {"factory": lambda error: "yesterday"},
        {"chain": {"timeout": lambda: "yesterday"}},
        {"stale": {"key": StaleEntry("yesterday", 0.0)}, "key": lambda: "key"},
    ],
    ids=["default", "factory", "chain", "stale"],
)
def test_each_source_that_waits_for_nothing_answers_in_time(runner: Runner, sources: dict):
    answer, _ = at_the_edge(runner, stack(fallback(**sources), timeout(60)))
    assert answer == "yesterday"


def test_a_substitute_says_what_it_stands_in_for(backend: str):
    answer, _ = at_the_edge(Runner(backend), fallback(default="yesterday", degraded=True))
    assert isinstance(answer, Degraded)
    assert isinstance(answer.error, DeadlineExceededError)
    assert "in hang" in "".join(traceback.format_exception(answer.error.__cause__))


def test_the_events_are_one_time_out_and_one_substitute(backend: str):
    events = []
    with subscribe(events.append):
        at_the_edge(Runner(backend), fallback(default="yesterday"))
    assert [type(event) for event in events] == [TimedOut, FallbackUsed]
    assert (events[0].policy, events[0].limit) == ("deadline", pytest.approx(2.9))


def test_the_handler_has_the_rest_of_the_time_for_itself(backend: str):
    async def handle() -> tuple[object, float | None]:
        answer = await fallback(default="yesterday")(hang)()
        return answer, remaining()

    async def main() -> tuple[object, float | None]:
        with virtual_time(patience=0.05):
            return await deadline(3)(handle)()

    assert anyio.run(main, backend=backend) == ("yesterday", pytest.approx(RESERVE))


def test_several_fallbacks_one_after_the_other_all_answer(backend: str):
    guarded = fallback(default="yesterday")(hang)

    async def handle() -> list[object]:
        return [await guarded() for _ in range(3)]

    async def main() -> object:
        with virtual_time(patience=0.05):
            return await deadline(3)(handle)()

    assert anyio.run(main, backend=backend) == ["yesterday"] * 3


def test_of_nested_fallbacks_the_inner_one_answers_first(runner: Runner):
    policies = (fallback(default="outer"), fallback(default="inner"), timeout(60))
    inner = stack(*policies[1:])

    def decorate(function: Callable) -> Callable:
        guarded = inner(function)

        def call() -> object:
            return guarded()

        async def call_async() -> object:
            return await guarded()

        return policies[0](call_async if runner.is_async else call)

    answer, _ = at_the_edge(runner, decorate)
    assert answer == "inner"


def test_a_task_that_the_handler_starts_is_answered_in_time_too(backend: str):
    answers = []

    async def child() -> None:
        answers.append(await fallback(default="yesterday")(hang)())

    async def handle() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)

    async def main() -> float:
        with virtual_time(patience=0.05) as clock:
            await deadline(3)(handle)()
            return clock.now()

    assert anyio.run(main, backend=backend) == pytest.approx(2.9)
    assert answers == ["yesterday"]


def test_a_block_is_ended_in_time(backend: str):
    async def handle() -> object:
        async with fallback(default="yesterday") as result:
            result.value = await hang()
        return result.value

    async def main() -> object:
        with virtual_time(patience=0.05):
            return await deadline(3)(handle)()

    assert anyio.run(main, backend=backend) == "yesterday"


def test_a_sync_block_leaves_the_reserve_to_guarded_calls_inside():
    seen = []
    with virtual_time(), deadline(3), fallback(default="yesterday"):
        seen.append(remaining())
    assert seen == [pytest.approx(2.9)]


def test_a_loop_of_retries_inside_the_fallback_begins_no_attempt_in_the_reserve():
    began = []

    @fallback(default="yesterday")
    def prices() -> str:
        for attempt in retrying(attempts=9, base_delay=1, exponential_base=1, jitter="none"):
            with attempt:
                began.append(current_clock().now())
                current_clock().sleep(0.46)
                raise down
        return "today"

    with virtual_time(), deadline(3):
        assert prices() == "yesterday"
    assert began == [0, 1.46]  # the next would begin at 2.92, before the deadline and within the reserve


def test_under_a_limit_that_leaves_the_thread_of_its_caller_the_substitute_arrives():
    release = threading.Event()

    @fallback(default="yesterday")
    @timeout(60)
    def prices() -> str:
        release.wait(60)
        return "today"

    @timeout(1)
    def handle() -> str:
        return prices()

    try:
        assert handle() == "yesterday"
    finally:
        release.set()


def test_a_deadline_around_a_block_is_the_same(backend: str):
    async def main() -> tuple[object, float]:
        with virtual_time(patience=0.05) as clock:
            async with deadline(3):
                return await fallback(default="yesterday")(hang)(), clock.now()

    assert anyio.run(main, backend=backend) == ("yesterday", pytest.approx(2.9))


def test_a_time_limit_above_the_fallback_is_the_same(backend: str):
    policies = stack(timeout(3), fallback(default="yesterday"))
    story = Runner(backend).play(policies, Takes(99))
    assert (story.answer, story.now) == ("yesterday", pytest.approx(2.9))
    assert policies(hang).__code__.co_freevars == (".slow",)  # by the runner also without a virtual clock


def test_by_the_clock_of_the_machine_too(backend: str):
    @fallback(default="yesterday")
    async def prices() -> str:
        await anyio.sleep_forever()
        return "today"

    @deadline(1)
    async def handle() -> str:
        return await prices()

    assert anyio.run(handle, backend=backend) == "yesterday"


# -- the reserve is small, and kept only where it is of use ------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "ends"), [(60, 59.9), (1, 0.9), (0.5, 0.45), (0.01, 0.009)])
def test_of_a_short_deadline_a_tenth_is_reserved(backend: str, seconds: float, ends: float):
    answer, now = at_the_edge(Runner(backend), fallback(default="yesterday"), seconds)
    assert (answer, now) == ("yesterday", pytest.approx(ends))


@pytest.mark.parametrize(
    "options",
    [{"default": 1, "on": "network"}, {"chain": {"network": lambda: 1}}, {"stale": {}, "on": "unavailable"}],
    ids=["default", "chain", "stale"],
)
def test_a_fallback_that_does_not_answer_time_outs_reserves_nothing(backend: str, options: dict):
    async def main() -> float:
        with virtual_time(patience=0.05) as clock:
            with pytest.raises(DeadlineExceededError):
                await deadline(3)(fallback(**options)(hang))()
            return clock.now()

    assert anyio.run(main, backend=backend) == 3


def test_a_call_without_a_fallback_has_all_of_the_time(backend: str):
    story = Runner(backend).play(stack(deadline(3), timeout(9)), Takes(2.99, "just in time"))
    assert story.answer == "just in time"


def test_a_deadline_inside_the_fallback_is_kept_to_the_second(runner: Runner):
    story = runner.play(stack(fallback(default="yesterday"), deadline(3), timeout(60)), Takes(99))
    assert story.answer == "yesterday"
    assert story.now == 3 or not runner.is_async


def test_a_call_that_ends_in_time_is_left_alone(runner: Runner):
    story = runner.play(stack(deadline(3), fallback(default="yesterday"), timeout(60)), Takes(2.5, "today"))
    assert (story.answer, story.events) == ("today", [])


def test_a_failure_of_the_function_itself_is_answered_as_ever(runner: Runner):
    story = runner.play(stack(deadline(3), fallback(default="yesterday")), down)
    assert (story.answer, story.now) == ("yesterday", 0)


def test_where_the_deadline_has_passed_the_call_is_made_as_without_a_fallback():
    calls = []
    with virtual_time() as clock, deadline(1):
        clock.advance(2)
        assert fallback(default="yesterday")(lambda: calls.append("made"))() is None
    assert calls == ["made"]


# -- what the deadline cuts off counts as a time-out -------------------------------------------------------------------


def test_a_dependency_that_hangs_opens_its_circuit_within_the_reserve(backend: str):
    prices = circuit_breaker(f"prices {backend}", failure_threshold=3)
    guarded = stack(fallback(default="yesterday"), retry_on_category(attempts=3), prices)(hang)

    @deadline(3)
    async def handle() -> object:
        return await guarded()

    async def main() -> list[object]:
        with virtual_time(patience=0.05):
            answers = [await handle() for _ in range(4)]
            assert prices.circuit_state is CircuitState.OPEN
            return answers

    assert anyio.run(main, backend=backend) == ["yesterday"] * 4
