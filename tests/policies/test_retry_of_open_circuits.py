"""A retry does not wait for an attempt that a circuit inside it would only reject."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resilience import (
    CircuitOpenError,
    RetryBudget,
    StopReason,
    circuit_breaker,
    fallback,
    retry_on_category,
    standard,
)
from tests.runners import Runner


def lost() -> Exception:
    return ConnectionResetError("down")


def stack(*policies: Callable) -> Callable[[Callable], Callable]:
    def decorate(function: Callable) -> Callable:
        for policy in reversed(policies):
            function = policy(function)
        return function

    return decorate


def retry(**options: object) -> Callable:
    return retry_on_category(**{"attempts": 5, "base_delay": 1, "jitter": "none", **options})


def test_the_failure_that_opens_the_circuit_is_the_last_and_no_pause_follows(runner: Runner):
    errors = [lost() for _ in range(3)]
    breaker = circuit_breaker("catalogue", failure_threshold=2, reset_timeout=30)
    story = runner.play(stack(retry(), breaker), *errors)
    assert (story.answer, story.reached, story.now) == (errors[1], 2, 1)
    report = errors[1].resilience
    assert report.reason is StopReason.CIRCUIT_OPEN
    assert story.events[-1].reason == "circuit_open"
    assert "stopped: the circuit has opened, and would reject another attempt" in errors[1].__notes__[0]
    assert "circuit 'catalogue' open, next probe in 30 s" in errors[1].__notes__[0]


def test_a_pause_that_is_longer_than_the_circuit_stays_open_is_waited_for(runner: Runner):
    breaker = circuit_breaker("catalogue", failure_threshold=2, reset_timeout=1.5)
    story = runner.play(stack(retry(), breaker), lost(), lost(), "ok")
    assert (story.answer, story.now) == ("ok", 3)  # after pauses of 1 and 2 s, the last attempt is the probe


def test_no_tokens_are_taken_for_it():
    budget = RetryBudget("catalogue", tokens=100)
    breaker = circuit_breaker("catalogue", failure_threshold=1)
    story = Runner("sync").play(stack(retry(budget=budget), breaker), lost())
    assert story.reached == 1
    assert budget.left() == 100


def test_a_circuit_outside_of_the_retry_has_admitted_it(runner: Runner):
    breaker = circuit_breaker("catalogue", failure_threshold=1)

    def decorate(function: Callable) -> Callable:
        guarded = breaker(retry()(function))
        if not runner.is_async:

            def opening(*args: object) -> object:
                breaker.open()
                return function(*args)

            return breaker(retry()(opening))
        return guarded

    assert runner.play(decorate, lost(), "ok").answer == "ok"


@pytest.mark.parametrize("options", [{"key": lambda *_: "one"}], ids=["key"])
def test_the_circuit_of_the_calls_key_counts(runner: Runner, options: dict):
    breaker = circuit_breaker("hosts", failure_threshold=1, **options)
    story = runner.play(stack(retry(), breaker), lost())
    assert (story.reached, story.now) == (1, 0)


def test_the_circuit_of_the_object_counts():
    @retry()
    @circuit_breaker("objects", failure_threshold=1, per_instance=True)
    class Client:
        calls = 0

        def get(self) -> None:
            self.calls += 1
            raise lost()

    client = Client()
    with pytest.raises(ConnectionResetError) as caught:
        client.get()
    assert client.calls == 1
    assert caught.value.resilience.reason is StopReason.CIRCUIT_OPEN


def test_where_rejections_are_retried_the_circuit_is_waited_for(runner: Runner):
    breaker = circuit_breaker("catalogue", failure_threshold=1, reset_timeout=1.5)
    story = runner.play(stack(retry(attempts=4), breaker), lost(), "ok")
    assert isinstance(story.answer, ConnectionResetError)
    waiting = retry_on_category("network|rejected", attempts=4, base_delay=1, jitter="none")
    breaker = circuit_breaker("catalogue", failure_threshold=1, reset_timeout=1.5)
    assert runner.play(stack(waiting, breaker), lost(), "ok").answer == "ok"


def test_a_circuit_in_shadow_mode_stops_nothing(runner: Runner):
    breaker = circuit_breaker("catalogue", failure_threshold=1)
    breaker.shadow()
    assert runner.play(stack(retry(), breaker), lost(), "ok").answer == "ok"


def test_the_fallback_covers_the_failure_itself(runner: Runner):
    breaker = circuit_breaker("catalogue", failure_threshold=1)
    story = runner.play(stack(fallback(default="other"), retry(), breaker), lost())
    assert (story.answer, story.now) == ("other", 0)
    assert story.events[-1].category.label == "network"


def test_an_enclosing_retry_does_not_begin_anew(runner: Runner):
    breaker = circuit_breaker("catalogue", failure_threshold=1)
    story = runner.play(stack(retry(), retry(), breaker), lost())
    assert (story.reached, story.now) == (1, 0)


def test_a_loop_of_standard_ends_at_once():
    catalogue = standard("catalogue", circuit=circuit_breaker("quick", failure_threshold=1))
    story = Runner("sync").play(catalogue, lost(), lost(), pauses=(0,))
    assert isinstance(story.answers[0], ConnectionResetError)
    assert isinstance(story.answers[1], CircuitOpenError)
    assert story.now == 0
