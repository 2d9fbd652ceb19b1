"""Details of a retry: which callbacks it calls, which events it emits, what it reports."""

from __future__ import annotations

import contextvars

import pytest
import tenacity

import resilience._callback_errors
from resilience import (
    CircuitOpenError,
    ErrorCategory,
    RetryBudget,
    StopReason,
    circuit_breaker,
    deadline,
    last_call,
    retry_on_category,
    subscribe,
)
from resilience.clock import current_clock
from resilience.profiles import RetrySafety
from resilience.testing import virtual_time
from tests.runners import Runner

down = ConnectionResetError("down")


@pytest.fixture
def nothing_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(resilience._callback_errors, "_logged", set())
    yield
    assert not caplog.get_records("call")  # those of the test itself, not of what comes after


@pytest.mark.usefixtures("nothing_logged")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"on_success": lambda report: None},
        {"on_retry": lambda event: None},
        {"wait": 1},
        {"stop": tenacity.stop_after_attempt(3)},
        {"retry_if": tenacity.retry_if_result(lambda result: result == "pending")},
        {"retry_if_result": lambda result: result == "pending"},
        {"revise": lambda call, report: None},
        {"no_progress": 9},
    ],
    ids=lambda options: next(iter(options), "nothing"),
)
def test_without_callbacks_and_listeners_none_is_called(runner: Runner, options: dict[str, object]):
    assert runner.play(retry_on_category(base_delay=0, **options), down, "ok", "ok", pauses=(0,)).answers == [
        "ok",
        "ok",
    ]
    assert isinstance(runner.play(retry_on_category(base_delay=0, **options), KeyError()).answer, KeyError)


def test_a_wait_strategy_is_not_asked_after_a_failure_that_is_not_retryable(runner: Runner):
    asked = []
    policy = retry_on_category(wait=lambda state: asked.append(state) or 0)
    runner.play(policy, KeyError())
    assert asked == []
    runner.play(policy, down, "ok")
    assert len(asked) == 1


def test_a_retried_result_emits_a_scheduled_retry_and_no_failed_attempt(runner: Runner):
    story = runner.play(retry_on_category(retry_if_result=lambda result: result == 1, base_delay=0, attempts=2), 1, 1)
    assert story.names == ["retry.scheduled", "retry.exhausted"]
    assert story.events[0].error is story.events[1].error is None


def test_a_retry_that_a_slow_on_retry_called_off_reports_the_deadline(runner: Runner):
    def slow(event: object) -> None:
        current_clock().advance(4.5)

    policy = retry_on_category(base_delay=1, jitter="none", on_retry=slow)
    story = runner.play(lambda fn: deadline(5)(policy(fn)), down, "never")
    assert story.reached == 1
    assert story.names == ["attempt.failed", "retry.scheduled", "retry.exhausted"]
    assert story.events[-1].reason == "deadline"


def test_an_outer_retry_that_made_one_attempt_adds_no_report_to_an_exhausted_nested_one(runner: Runner):
    inner = retry_on_category(attempts=2, base_delay=0)
    outer = retry_on_category(attempts=9, base_delay=0)

    def reported_attempts() -> list[object]:
        story = runner.play(lambda fn: outer(inner(fn)), down, down)
        assert story.answer.resilience.reason is StopReason.ATTEMPTS
        return [event.attempts for event in story.events if event.name == "retry.exhausted"]

    assert reported_attempts() == [2]
    if not runner.is_async:
        assert last_call().reason is StopReason.ATTEMPTS
        assert last_call().made == 2


def test_an_outer_retry_that_made_several_attempts_reports_an_exhausted_nested_one(runner: Runner):
    inner = retry_on_category("network", attempts=2, base_delay=0)
    outer = retry_on_category("timeout", "network", attempts=9, base_delay=0)
    story = runner.play(lambda fn: outer(inner(fn)), TimeoutError(), down, down)
    reported = [(event.reason, event.attempts) for event in story.events if event.name == "retry.exhausted"]
    assert reported == [("attempts", 2), ("nested", 2)]


def test_a_call_that_an_open_circuit_rejects_has_no_report():
    breaker = circuit_breaker("b")
    breaker.open()
    with pytest.raises(CircuitOpenError) as caught:
        retry_on_category()(breaker(lambda: None))()
    assert not hasattr(caught.value, "resilience")


@pytest.mark.parametrize(
    ("failure", "reached"), [(ConnectionRefusedError(), 3), (ConnectionResetError(), 1), (TimeoutError(), 1)]
)
def test_a_call_that_is_not_idempotent_is_repeated_where_it_was_not_executed(
    runner: Runner, failure: Exception, reached: int
):
    story = runner.play(retry_on_category(base_delay=0, idempotent=False), failure, failure, failure)
    assert story.reached == reached
    expected = StopReason.ATTEMPTS if reached == 3 else StopReason.NOT_IDEMPOTENT
    assert story.answer.resilience.reason is expected


def test_rows_of_the_retrys_own_decide_what_may_be_repeated(runner: Runner):
    reported = retry_on_category(base_delay=0, idempotent=False, profiles={"network": {"unsafe": RetrySafety.ALWAYS}})
    assert runner.play(reported, *[ConnectionResetError()] * 3).reached == 3


@pytest.mark.parametrize(("safe", "reached"), [(True, 3), (False, 1)])
def test_a_function_of_the_arguments_decides_what_may_be_repeated(runner: Runner, safe: bool, reached: int):
    story = runner.play(retry_on_category(base_delay=0, idempotent=lambda: safe), *[TimeoutError()] * 3)
    assert story.reached == reached


def test_a_stop_strategy_is_not_asked_where_no_retry_would_follow(runner: Runner):
    asked: list[object] = []
    policy = retry_on_category(attempts=2, base_delay=0, stop=lambda state: asked.append(state.upcoming_sleep))
    runner.play(policy, down, down)
    assert asked == [0.0]


def test_a_cancelled_call_is_not_retried_though_a_group_in_on_includes_it(runner: Runner):
    class Withdrawn(Exception):
        category = ErrorCategory.CANCELLED

    everything = retry_on_category(ErrorCategory.CANCELLED | ErrorCategory.NETWORK, base_delay=0)
    assert runner.play(everything, Withdrawn(), "never").reached == 1
    assert runner.play(everything, down, "ok").reached == 2


def test_the_description_shows_no_progress():
    assert repr(retry_on_category(no_progress=4)).endswith(", no_progress=4)")


def test_an_accepted_result_is_a_success_where_unknown_is_retried(runner: Runner):
    story = runner.play(
        retry_on_category("unknown", base_delay=0, retry_if_result=lambda result: result == "no"), "no", "ok"
    )
    assert story.answer == "ok"
    assert story.reached == 2


@pytest.mark.parametrize("jitter", ["none", "equal", "full", "decorrelated"])
def test_waits_are_the_same_with_and_without_listeners(runner: Runner, jitter):
    def began(**parameters: object) -> list[float]:
        decorate = retry_on_category("network", attempts=6, base_delay=1, jitter=jitter, **parameters)
        times = []

        async def asynchronous() -> None:
            @decorate
            async def call() -> None:
                times.append(current_clock().now())
                raise ConnectionResetError

            await call()

        def sync() -> None:
            @decorate
            def call() -> None:
                times.append(current_clock().now())
                raise ConnectionResetError

            call()

        with virtual_time(), pytest.raises(ConnectionResetError):
            runner.run(sync, asynchronous)
        return times

    unheard = began()
    with subscribe(lambda event: None):
        assert began() == unheard
    assert began(on_retry=lambda reported: None) == unheard
    assert began(budget=RetryBudget()) == unheard
    assert len(set(unheard)) == 6


def test_a_rejection_is_retried_where_on_includes_it():
    calls = 0

    def rejected() -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise CircuitOpenError("books", retry_after=0.0)
        return "ok"

    assert retry_on_category("rejected", base_delay=0)(rejected)() == "ok"
    calls = 0
    asked = tenacity.retry_if_exception_type(CircuitOpenError)
    assert retry_on_category("network", base_delay=0, retry_if=asked)(rejected)() == "ok"


def test_callbacks_that_were_not_given_are_not_called(runner: Runner, nothing_logged):
    waits = retry_on_category("network", wait=tenacity.wait_none())
    assert runner.play(waits, down, "ok").answer == "ok"
    error = KeyError("lamp")
    assert runner.play(waits, error).answer is error
    results = retry_on_category(base_delay=0, retry_if=tenacity.retry_if_result(lambda result: result == "no"))
    assert runner.play(results, "no", "ok").answer == "ok"


def test_retry_if_result_is_not_called_for_a_failure(runner: Runner):
    error = KeyError("lamp")
    judged = []
    decorate = retry_on_category("network", base_delay=0, retry_if_result=lambda result: judged.append(result) or True)
    story = runner.play(decorate, error, "never")
    assert (story.answer, story.reached, judged) == (error, 1, [])


def test_retry_if_result_is_not_called_where_retry_if_retries(runner: Runner):
    refused = tenacity.retry_if_result(lambda result: result == "no")
    decorate = retry_on_category(base_delay=0, retry_if=refused, retry_if_result=lambda result: False)
    assert runner.play(decorate, "no", "ok").answer == "ok"


def test_a_call_cancelled_in_its_first_attempt_leaves_no_report():
    @retry_on_category(wait=tenacity.wait_none())
    def stopped() -> None:
        raise KeyboardInterrupt

    def alone() -> None:
        with pytest.raises(KeyboardInterrupt):
            stopped()
        assert last_call() is None

    contextvars.Context().run(alone)


def test_no_progress_ends_retries_without_listeners():
    calls = 0

    @retry_on_category("network", attempts=10, base_delay=0, no_progress=2)
    def call() -> None:
        nonlocal calls
        calls += 1
        raise ConnectionResetError("the same")

    with pytest.raises(ConnectionResetError) as caught:
        call()
    assert calls == 2
    assert caught.value.resilience.reason is StopReason.NO_PROGRESS


def test_a_revision_is_made_while_any_time_is_left():
    @retry_on_category(base_delay=0, revise=lambda call, report: {"code": "1"})
    def run(code: str) -> int:
        current_clock().sleep(0.6 if code != "1" else 0.0)
        return eval(code)

    with virtual_time(), deadline(1):
        assert run("1 +") == 1
