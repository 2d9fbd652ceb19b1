"""The functions a retry is given: when they are called, with what, and that they change nothing by failing."""

from __future__ import annotations

import logging
import math
import pickle
import re
from datetime import timedelta

import anyio
import pytest

from resilience import (
    CallReport,
    ErrorCategory,
    RetriesExhaustedError,
    RetryBudget,
    StopReason,
    classify,
    deadline,
    retry_after,
    retry_on_category,
    retrying,
)
from resilience.clock import current_clock
from resilience.testing import virtual_time
from tests.runners import Runner, Takes

down = ConnectionResetError("down")


class Busy(Exception):
    category = ErrorCategory.RATE_LIMIT
    retry_after = 7.0


def fixed(**options: object) -> object:
    return retry_on_category(base_delay=1, jitter="none", **options)


# -- on_success -----------------------------------------------------------------------------------------------------


def test_on_success_is_called_for_a_first_success_and_for_one_after_retries(runner: Runner):
    heard: list[CallReport] = []
    story = runner.play(fixed(on_success=heard.append), "at once", down, Takes(1, down), "late", pauses=(5,))
    assert story.answers == ["at once", "late"]
    first, second = heard
    assert (first.reason, first.made, first.attempts, first.slept) == (StopReason.SUCCESS, 1, (), 0)
    assert (second.made, second.slept) == (3, 3)
    assert [(each.wait, each.duration) for each in second.attempts] == [(0, 0), (1, 1)]
    assert first.target.endswith("dependency")
    assert str(first) == f"{first.target} succeeded at attempt 1\n  stopped: it succeeded"


def test_on_success_is_not_called_for_a_failure(runner: Runner):
    heard: list[CallReport] = []
    runner.play(fixed(on_success=heard.append, attempts=2), down, down, ValueError(), pauses=(0,))
    assert heard == []


def test_on_success_may_be_async_where_the_function_is(backend: str):
    heard: list[int] = []

    async def hear(report: CallReport) -> None:
        await anyio.lowlevel.checkpoint()
        heard.append(report.made)

    assert Runner(backend).play(fixed(on_success=hear), down, "ok").answer == "ok"
    assert heard == [2]


def test_on_success_of_a_loop_is_called_when_its_block_succeeds(backend: str):
    heard: list[int] = []
    answers = iter([down, "ok"] * 2)

    def step() -> None:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer

    with virtual_time():
        for attempt in retrying(on_success=lambda report: heard.append(report.made)):
            with attempt:
                step()

    async def main() -> None:
        with virtual_time():
            async for attempt in retrying(on_success=lambda report: heard.append(report.made)):
                with attempt:
                    step()

    anyio.run(main, backend=backend)
    assert heard == [2, 2]


# -- on_retry -------------------------------------------------------------------------------------------------------


def test_on_retry_is_called_for_each_retry_and_not_for_the_end(runner: Runner):
    heard: list[tuple] = []

    def hear(event: object) -> None:
        heard.append((event.attempt, event.wait, event.category.label, event.error, event.policy))

    error = TimeoutError()
    runner.play(fixed(on_retry=hear), down, error, down, "never")
    assert heard == [(1, 1, "network", down, "retry"), (2, 2, "timeout", error, "retry")]


def test_on_retry_is_called_for_results_without_an_error(runner: Runner):
    heard: list[tuple] = []
    policy = fixed(retry_if_result=lambda value: value != "ok", on_retry=lambda e: heard.append((e.error, e.wait)))
    assert runner.play(policy, "pending", "ok").answer == "ok"
    assert heard == [(None, 1)]


@pytest.mark.parametrize(("took", "calls"), [(0, 3), (1, 2), (2, 2), (4, 2), (4.5, 1), (9, 1)])
def test_a_retry_is_called_off_when_on_retry_has_used_up_its_time(took: float, calls: int):
    with virtual_time() as clock:
        budget, began = RetryBudget(tokens=100, reserve=0), []

        @deadline(8)
        @retry_on_category(
            wait=3, budget=budget, attempts=3, min_attempt_time=0.5, on_retry=lambda event: clock.advance(took)
        )
        def call() -> None:
            began.append(clock.now())
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError) as caught:
            call()
    assert began == [(3 + took) * number for number in range(calls)]
    assert budget.left() == 100 - 14 * (calls - 1)
    report = caught.value.resilience
    assert (report.made, report.slept) == (calls, 3 * (calls - 1))
    assert report.reason is (StopReason.ATTEMPTS if calls == 3 else StopReason.DEADLINE)


@pytest.mark.parametrize("wait", [0, 3])
def test_the_time_that_on_retry_takes_is_not_part_of_the_next_attempt(wait: float):
    with virtual_time() as clock:

        @retry_on_category(attempts=2, wait=wait, on_retry=lambda event: clock.advance(2))
        def call() -> None:
            clock.advance(1)
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError) as caught:
            call()
        assert clock.now() == 4 + wait
    assert [attempt.duration for attempt in caught.value.resilience.attempts] == [1, 1]


# -- retry_if_result ------------------------------------------------------------------------------------------------


def test_retry_if_result_retries_a_result(runner: Runner):
    seen: list[object] = []

    def judge(value: object) -> bool:
        seen.append(value)
        return value == "pending"

    story = runner.play(fixed(retry_if_result=judge, attempts=5), "pending", down, "pending", "ok")
    assert story.answer == "ok"
    assert story.waits == [1, 2, 4]
    assert seen == ["pending", "pending", "ok"]  # not of failures


def test_the_last_result_is_returned_unchanged_when_none_is_accepted(runner: Runner):
    last = object()
    story = runner.play(fixed(retry_if_result=lambda value: True, attempts=2), "pending", last, "never")
    assert story.answer is last
    assert story.events[-1].reason == "attempts"
    assert story.events[-1].error is None


def test_retry_if_result_may_be_async_where_the_function_is(backend: str):
    async def judge(value: object) -> bool:
        return value is None

    assert Runner(backend).play(fixed(retry_if_result=judge), None, "ok").answer == "ok"


def test_results_of_calls_that_are_not_idempotent_are_not_retried(runner: Runner):
    assert runner.play(fixed(retry_if_result=lambda value: True, idempotent=False), "once", "never").answer == "once"


# -- they change nothing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ["on_success", "on_retry", "retry_if_result"])
def test_a_callback_that_raises_is_reported_once_and_changes_nothing(
    runner: Runner, parameter: str, caplog: pytest.LogCaptureFixture
):
    def broken(given: object) -> None:
        raise RuntimeError("hook")

    broken.__qualname__ = f"broken_{parameter}_on_{runner}"
    with caplog.at_level(logging.WARNING, "resilience"):
        story = runner.play(fixed(**{parameter: broken}), down, "ok", down, "ok", pauses=(0,))
    assert story.answers == ["ok", "ok"]
    assert story.reached == 4
    (record,) = caplog.records
    assert broken.__qualname__ in record.message
    assert (
        "raised RuntimeError; the call goes on without it"
        " (logged once; further occurrences suppressed)" in record.message
    )


@pytest.mark.parametrize("parameter", ["on_success", "on_retry", "retry_if_result", "retry_if", "stop", "wait"])
def test_an_async_callback_on_a_sync_function_is_refused_where_it_is_written(parameter: str):
    async def hook(given: object) -> None: ...

    with pytest.raises(TypeError, match=f"{parameter}=.*is not async and cannot await it"):
        retry_on_category(**{parameter: hook})(lambda: None)


def test_a_callback_that_returns_a_coroutine_in_a_sync_call_is_reported(caplog: pytest.LogCaptureFixture):
    async def sink(report: object) -> None: ...

    with caplog.at_level(logging.WARNING, "resilience"):
        assert Runner("sync").play(fixed(on_success=lambda report: sink(report)), "ok").answer == "ok"
    assert "is async and the call is not" in str(caplog.records[0].exc_info[1])


class Stop(BaseException):
    pass


@pytest.mark.parametrize("parameter", ["on_success", "on_retry", "retry_if_result", "wait", "stop", "retry_if"])
def test_a_base_exception_of_a_callback_reaches_the_caller(runner: Runner, parameter: str):
    def stop(given: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        runner.play(retry_on_category(**{parameter: stop}), ValueError() if parameter == "retry_if" else down, "ok")


# -- on_exhausted ---------------------------------------------------------------------------------------------------


def test_the_last_error_may_be_wrapped(runner: Runner):
    error = Busy()
    story = runner.play(fixed(on_exhausted="wrap", attempts=2), down, error, "never")
    wrapped = story.answer
    assert isinstance(wrapped, RetriesExhaustedError)
    assert wrapped.__cause__ is error
    assert (wrapped.made, wrapped.reason, wrapped.retry_after) == (2, "attempts", 7.0)
    assert classify(wrapped) is ErrorCategory.EXHAUSTED
    assert retry_after(wrapped) == 7.0
    assert str(wrapped) == f"{story.events[0].target} failed 2 times; stopped by attempts"
    assert wrapped.resilience is error.resilience
    assert wrapped.resilience.reason is StopReason.ATTEMPTS
    assert len(error.__notes__) == 1
    assert not hasattr(wrapped, "__notes__")


def test_a_wrapped_error_can_be_pickled(runner: Runner):
    wrapped = runner.play(fixed(on_exhausted="wrap", attempts=1), down).answer
    other = pickle.loads(pickle.dumps(wrapped))
    assert other.args == wrapped.args
    assert other.resilience == wrapped.resilience
    assert str(other).endswith("failed 1 time; stopped by attempts")


def test_results_that_are_never_accepted_end_in_a_wrapped_error(runner: Runner):
    policy = fixed(on_exhausted="wrap", retry_if_result=lambda value: True, attempts=2)
    wrapped = runner.play(policy, "pending", "pending", "never").answer
    assert isinstance(wrapped, RetriesExhaustedError)
    assert (wrapped.__cause__, wrapped.retry_after, wrapped.made) == (None, None, 2)


@pytest.mark.parametrize("error", [ValueError("bug"), down])
def test_an_error_that_no_limit_of_the_retry_ended_is_not_wrapped(runner: Runner, error: Exception):
    policy = fixed(on_exhausted="wrap", idempotent=False)
    assert runner.play(policy, error, "never").answer is error


def test_the_last_error_of_a_loop_may_be_wrapped():
    with virtual_time(), pytest.raises(RetriesExhaustedError) as caught:
        for attempt in retrying(attempts=2, on_exhausted="wrap"):
            with attempt:
                raise down
    assert caught.value.__cause__ is down


# -- invalid options ---------------------------------------------------------------------------------------------------

REFUSED = [
    ({"on_success": "print"}, TypeError, "on_success='print': give a function that takes a CallReport"),
    ({"on_success": lambda: None}, TypeError, "give a function that takes a CallReport; this one takes ()"),
    ({"on_success": lambda a, b: None}, TypeError, "this one takes (a, b)"),
    ({"on_success": list}, TypeError, "on_success=<class 'list'>: give a function"),
    ({"on_retry": lambda: None}, TypeError, "give a function that takes a RetryScheduled event; this one takes ()"),
    ({"retry_if_result": 3}, TypeError, "retry_if_result=3: give a function of the result"),
    ({"retry_if_result": lambda: None}, TypeError, "true of one to try again; this one takes ()"),
    ({"revise": lambda call: None}, TypeError, "returns new arguments or None; this one takes (call)"),
    ({"revise": 3}, TypeError, "revise=3: give a function of the call's Arguments and its CallReport"),
    ({"revise": lambda c, r: None, "max_revisions": 0}, ValueError, "max_revisions=0: give a whole number of 1"),
    ({"revise": lambda c, r: None, "max_revisions": 1.0}, TypeError, "max_revisions=1.0: give a whole number"),
    ({"on_exhausted": "rais"}, ValueError, "on_exhausted='rais': give one of 'raise', 'wrap'; did you mean 'raise'?"),
    ({"on_exhausted": True}, TypeError, "on_exhausted=True: give one of 'raise', 'wrap'"),
    ({"on_exhausted": None}, TypeError, "on_exhausted=None: give one of"),
    ({"retry_exhausted": "yes"}, TypeError, "retry_exhausted='yes': give True or False"),
    ({"retry_exhausted": 1}, TypeError, "retry_exhausted=1: give True or False"),
    ({"no_progress": 0}, ValueError, "no_progress=0: give a whole number of 1 or more"),
    ({"no_progress": True}, TypeError, "no_progress=True: give a whole number"),
    ({"min_attempt_time": -1}, ValueError, "min_attempt_time=-1: give seconds"),
    ({"min_attempt_time": math.inf}, ValueError, "min_attempt_time=inf: give seconds"),
    ({"min_attempt_time": timedelta(-1)}, ValueError, "min_attempt_time=-86400.0: give seconds"),
    ({"min_attempt_time": None}, TypeError, "min_attempt_time=None: give seconds"),
    ({"budget": 500}, TypeError, "budget=500: give a RetryBudget, one object for all callers of the same dependency"),
    ({"idempotent": "no"}, TypeError, "idempotent='no': give True, False, by_method or a function"),
    ({"profiles": {"network": {"base": -1}}}, ValueError, "profile of network: base=-1; give seconds >= 0, or None"),
]


@pytest.mark.parametrize(("parameters", "kind", "says"), REFUSED)
def test_an_invalid_parameter_is_refused(parameters: dict, kind: type[Exception], says: str):
    with pytest.raises(kind, match=re.escape(says)):
        retry_on_category(**parameters)


@pytest.mark.parametrize("parameter", ["waits", "max_attempts", "profiles"])
def test_options_by_category_must_be_mappings(parameter: str):
    with pytest.raises(TypeError, match=f"{parameter}=5: give a mapping"):
        retry_on_category(**{parameter: 5})


@pytest.mark.parametrize("parameter", ["base_delay", "max_delay", "min_attempt_time", "wait", "exponential_base"])
def test_a_number_too_long_for_a_float_is_refused_like_infinity(parameter: str):
    with pytest.raises(ValueError, match=f"{parameter}=1000.*: give"):
        retry_on_category(**{parameter: 10**400})


@pytest.mark.parametrize(
    "parameters",
    [{"retry_if_result": bool}, {"revise": print}, {"idempotent": lambda: True}],
    ids=lambda options: next(iter(options)),
)
def test_a_block_has_no_result_and_no_arguments(parameters: dict):
    with pytest.raises(TypeError, match=f"{next(iter(parameters))}=.*: a block has no result and no arguments"):
        retrying(**parameters)


def test_retrying_is_no_decorator():
    with pytest.raises(TypeError, match="retrying"):
        retrying(lambda: None)


def test_the_description_of_a_retry_shows_all_options_that_were_given():
    policy = retry_on_category(
        budget=RetryBudget("billing"),
        idempotent=False,
        revise=lambda call, report: None,
        min_attempt_time=0.5,
        retry_exhausted=True,
        on_exhausted="wrap",
    )
    assert repr(policy).endswith(
        "jitter=equal, budget=billing, idempotent=False, max_revisions=3, min_attempt_time=0.5,"
        " retry_exhausted=True, on_exhausted=wrap)"
    )


def test_the_budget_is_asked_after_every_other_reason_to_stop(runner: Runner):
    heard: list[int] = []
    error = ConnectionResetError()
    policy = fixed(budget=RetryBudget(tokens=14, reserve=0), on_retry=lambda event: heard.append(event.attempt))
    story = runner.play(policy, down, error, "never")
    assert story.answer is error
    assert heard == [1]
    assert story.events[-1].reason == "budget"
    assert error.resilience.reason is StopReason.BUDGET


def test_retries_of_results_and_of_categories_without_a_cost_are_paid_for(runner: Runner):
    budget = RetryBudget(tokens=28, reserve=0)
    polling = retry_on_category(
        retry_if_result=lambda result: result == "pending", attempts=9, base_delay=0, budget=budget
    )
    assert runner.play(polling, *["pending"] * 9).reached == 3
    assert runner.play(retry_on_category("unknown", base_delay=0, budget=budget), ValueError()).reached == 1


def test_a_cost_of_zero_in_a_row_of_the_retrys_own_holds(runner: Runner):
    budget = RetryBudget(tokens=1, reserve=0)
    free = retry_on_category(attempts=9, base_delay=0, budget=budget, profiles={"network": {"cost": 0}})
    assert runner.play(free, *[ConnectionResetError()] * 9).reached == 9


def test_a_retry_that_on_retry_made_too_late_ends_without_a_budget_as_well(runner: Runner):
    def slow(event: object) -> None:
        current_clock().advance(10)

    story = runner.play(lambda fn: deadline(5)(retry_on_category(base_delay=1, on_retry=slow)(fn)), down, "never")
    assert story.reached == 1
    assert isinstance(story.answer, ConnectionResetError if runner.name == "sync" else Exception)


def test_callbacks_that_are_not_given_are_not_called(runner: Runner, caplog):
    assert runner.play(retry_on_category(base_delay=0), down, "ok").answer == "ok"
    assert not caplog.records
