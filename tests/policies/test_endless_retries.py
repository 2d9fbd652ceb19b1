"""Work that goes on for ever: ``attempts=None``, and ``reset_after=``, by which a long attempt is the first again."""

from __future__ import annotations

import math
import pickle

import anyio
import pytest
import tenacity

from resilience import (
    Backoff,
    CallReport,
    RetryBudget,
    StopReason,
    circuit_breaker,
    deadline,
    describe,
    retry_on_category,
    retrying,
)
from resilience.clock import current_clock
from resilience.testing import virtual_time
from tests.runners import Runner, Takes

down = ConnectionResetError("down")


def report_of(error: object) -> CallReport:
    assert isinstance(error, Exception)
    return error.resilience


# -- attempts=None --------------------------------------------------------------------------------------------------


def test_without_a_number_a_call_is_retried_until_it_succeeds(runner: Runner):
    story = runner.play(retry_on_category(attempts=None, base_delay=0), *[down] * 2000, "ok")
    assert (story.answer, story.reached) == ("ok", 2001)


def test_a_deadline_ends_it(runner: Runner):
    policy = retry_on_category(attempts=None, base_delay=1, jitter="none", exponential_base=1)
    story = runner.play(lambda fn: deadline(10.5)(policy(fn)), *[down] * 99)
    assert (story.reached, story.now) == (11, 10)
    assert report_of(story.answer).reason is StopReason.DEADLINE


def test_a_stop_strategy_ends_it(runner: Runner):
    policy = retry_on_category(attempts=None, base_delay=0, stop=tenacity.stop_after_attempt(7))
    story = runner.play(policy, *[down] * 99)
    assert (story.reached, report_of(story.answer).reason) == (7, StopReason.STOPPED)


def test_a_budget_ends_it(runner: Runner):
    policy = retry_on_category(attempts=None, base_delay=0, budget=RetryBudget("few", tokens=30, reserve=0))
    story = runner.play(policy, *[down] * 99)
    assert (story.reached, report_of(story.answer).reason) == (3, StopReason.BUDGET)


def test_the_limit_of_a_category_ends_it(runner: Runner):
    policy = retry_on_category(attempts=None, base_delay=0, max_attempts={"timeout": 2})
    assert runner.play(policy, *[down] * 50, *[TimeoutError()] * 9).reached == 52


def test_a_failure_that_is_not_retryable_ends_it(runner: Runner):
    assert runner.play(retry_on_category(attempts=None, base_delay=0), down, ValueError(), "never").reached == 2


def test_a_cancellation_ends_it(backend: str):
    calls = 0

    @retry_on_category(attempts=None, base_delay=0)
    async def fail() -> None:
        nonlocal calls
        calls += 1
        if calls == 50:
            scope.cancel()
        raise down

    async def main() -> None:
        nonlocal scope
        with anyio.CancelScope() as scope:
            await fail()
        assert scope.cancelled_caught

    scope: anyio.CancelScope
    anyio.run(main, backend=backend)
    assert calls == 50


def test_a_loop_takes_it_too(runner: Runner):
    made = 0

    def body(number: int) -> None:
        nonlocal made
        made = number
        if number < 20:
            raise down

    def sync() -> None:
        for attempt in retrying(attempts=None, base_delay=0):
            with attempt:
                body(attempt.number)

    async def asynchronous() -> None:
        async for attempt in retrying(attempts=None, base_delay=0):
            with attempt:
                body(attempt.number)

    runner.run(sync, asynchronous)
    assert made == 20


def test_a_generator_is_opened_until_it_has_an_item():
    calls = 0

    @retry_on_category(attempts=None, base_delay=0)
    def items():
        nonlocal calls
        calls += 1
        if calls < 20:
            raise down
        yield calls

    assert list(items()) == [20]


def test_describe_says_that_any_number_of_calls_may_be_made_and_what_limits_their_time():
    @retry_on_category(attempts=None, base_delay=1)
    def call() -> None: ...

    described = describe(call)
    assert described.policies[0].startswith("retry_on_category(transient, attempts=unlimited, base_delay=1")
    assert str(described.worst).startswith("worst case: any number of calls, no limit to the waiting")
    assert str(describe(deadline(9)(call)).worst).startswith("worst case: any number of calls, 9 s")
    free = describe(retry_on_category(attempts=None, base_delay=0)(lambda: None)).worst
    assert (free.calls, free.waits) == (math.inf, 0)


def test_it_excludes_a_number():
    with pytest.raises(TypeError, match="attempts=None, max_retries=2: give one of them"):
        retry_on_category(attempts=None, max_retries=2)


# -- reset_after ----------------------------------------------------------------------------------------------------

beats = retry_on_category(attempts=3, reset_after=60, base_delay=1, jitter="none")


def test_an_attempt_that_has_worked_for_a_while_is_the_first_again(runner: Runner):
    worked = Takes(60, down)
    story = runner.play(beats, down, down, worked, down, worked, down, down, "never")
    assert isinstance(story.answer, ConnectionResetError)
    assert story.reached == 7
    assert story.waits == [1, 2, 1, 2, 1, 2]


def test_one_that_fails_a_moment_earlier_is_not(runner: Runner):
    assert runner.play(beats, down, down, Takes(59.9, down), "never").reached == 3


def test_the_first_attempt_counts_once_however_long_it_worked(runner: Runner):
    assert runner.play(beats, Takes(3600, down), down, down, "never").reached == 3


def test_its_report_says_how_many_failed_before_it_last_worked(runner: Runner):
    worked = Takes(60, ConnectionResetError("worked"))
    report = report_of(runner.play(beats, down, down, worked, down, ConnectionResetError("last")).answer)
    assert report.made == 5
    assert [attempt.wait for attempt in report.attempts] == [0, 1, 2, 1, 2]
    assert "failed 5 times" in str(report)
    assert "stopped: no attempt left; 2 of them before it last worked for a while" in str(report)
    assert str(pickle.loads(pickle.dumps(report))) == str(report)


def test_the_limit_of_a_category_and_the_same_failure_again_count_anew_as_well(runner: Runner):
    worked = Takes(60, down)
    policy = retry_on_category(attempts=9, reset_after=60, base_delay=0, max_attempts={"network": 2})
    assert runner.play(policy, down, worked, worked, down, "never").reached == 4
    policy = retry_on_category(attempts=9, reset_after=60, base_delay=0, no_progress=2)
    assert runner.play(policy, down, worked, worked, down, "never").reached == 4


def test_strategies_of_tenacity_begin_anew_as_well(runner: Runner):
    policy = retry_on_category(
        attempts=None,
        reset_after=60,
        stop=tenacity.stop_after_attempt(3) | tenacity.stop_after_delay(200),
        wait=tenacity.wait_exponential(multiplier=1),
    )
    worked = Takes(150, down)
    story = runner.play(policy, down, down, worked, worked, down, down, "never")
    assert story.waits == [1, 2, 1, 1, 2]
    assert story.reached == 6


def test_decorrelated_waits_begin_anew(runner: Runner):
    own = Backoff(base_delay=1, max_delay=1000, jitter="decorrelated")
    policy = retry_on_category(attempts=9, reset_after=60, waits={"network": own})
    story = runner.play(policy, *[down] * 7, Takes(60, down), "ok")
    assert story.waits[7] <= 3  # at most three times the base, whatever came before


def test_the_budget_takes_it_for_a_success(runner: Runner):
    budget = RetryBudget("b", tokens=100, reserve=0)
    policy = retry_on_category(attempts=None, reset_after=60, base_delay=0, budget=budget)
    story = runner.play(policy, down, *[Takes(60, down)] * 50, "ok")
    assert story.answer == "ok"
    assert budget.left() == 100


def test_a_deadline_counts_on(runner: Runner):
    story = runner.play(lambda fn: deadline(141.5)(beats(fn)), *[Takes(70, down)] * 9)
    assert (story.reached, story.now) == (2, 141)
    assert report_of(story.answer).reason is StopReason.DEADLINE


def test_a_loop_begins_anew_as_well(runner: Runner):
    made: list[int] = []

    def sync() -> None:
        for attempt in retrying(attempts=2, reset_after=60, base_delay=0):
            with attempt:
                made.append(attempt.number)
                current_clock().sleep([0, 60, 60, 0][attempt.number - 1])
                raise down

    async def asynchronous() -> None:
        async for attempt in retrying(attempts=2, reset_after=60, base_delay=0):
            with attempt:
                made.append(attempt.number)
                await current_clock().sleep_async([0, 60, 60, 0][attempt.number - 1])
                raise down

    with virtual_time(), pytest.raises(ConnectionResetError):
        runner.run(sync, asynchronous)
    assert made == [1, 2, 3, 4]


def test_describe_shows_it_and_that_any_number_of_calls_may_be_made():
    described = describe(beats(lambda: None))
    assert "reset_after=60" in described.policies[0]
    assert described.worst.calls == math.inf
    assert describe(retry_on_category(attempts=1, reset_after=60)(lambda: None)).worst.calls == 1


@pytest.mark.parametrize("wrong", [0, -1, math.nan, math.inf, True, "60"])
def test_it_must_be_seconds(wrong: object):
    with pytest.raises((TypeError, ValueError), match="reset_after="):
        retry_on_category(reset_after=wrong)


# -- options without effect -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wait": 1, "base_delay": 2}, r"base_delay=2.0, wait=1: give one of them; wait replaces the backoff"),
        ({"wait": 1, "exponential_base": 3}, "exponential_base=3.0, wait=1"),
        ({"wait": tenacity.wait_fixed(1), "jitter": "full"}, "jitter='full', wait=<tenacity"),
        ({"max_revisions": 5}, "max_revisions=5: give it with revise="),
    ],
)
def test_an_option_without_effect_is_refused(options: dict[str, object], message: str):
    for make in (retry_on_category, retrying):
        with pytest.raises(TypeError, match=message):
            make(**options)


def test_to_name_cancelled_calls_is_refused_among_others_too_and_a_group_may_have_them():
    with pytest.raises(ValueError, match="a cancelled call is never retried"):
        retry_on_category("timeout", "cancelled")
    retry_on_category("workflow")


def test_a_circuit_without_keys_refuses_a_number_of_them():
    with pytest.raises(TypeError, match="max_keys=5: give key with it"):
        circuit_breaker("one", max_keys=5)
