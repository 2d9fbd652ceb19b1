"""An open circuit keeps type and category of the failure that opened it, never another caller's data."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from resilience import CircuitOpenError, ErrorCategory, circuit_breaker
from resilience.events import CircuitOpened
from resilience.testing import virtual_time
from tests.independent_caller import IndependentCaller
from tests.runners import Runner


class Card:
    """Data of one caller that no other caller may see."""


def _failing(runner: Runner, cards: list[weakref.ref[Card]]) -> object:
    def fail() -> None:
        card = Card()
        cards.append(weakref.ref(card))
        raise ConnectionResetError(f"while charging {id(card)}")

    async def fail_async() -> None:
        fail()

    return fail_async if runner.is_async else fail


@pytest.mark.parametrize("state", ["open", "half-open"])
def test_a_circuit_that_is_not_closed_keeps_nothing_of_the_failed_call_alive(runner: Runner, state: str):
    breaker = circuit_breaker("billing", failure_threshold=1, reset_timeout=30)
    cards: list[weakref.ref[Card]] = []
    fail = breaker(_failing(runner, cards))

    def main() -> None:
        with pytest.raises(ConnectionResetError):
            fail()

    async def main_async() -> None:
        with pytest.raises(ConnectionResetError):
            await fail()

    runner.run(main, main_async)
    if state == "half-open":
        breaker.half_open()
    gc.collect()
    assert breaker.current_state == state
    assert [card() for card in cards] == [None]


def test_a_rejection_names_type_and_category_of_the_last_failure_and_has_no_cause(runner: Runner):
    breaker = circuit_breaker("billing", failure_threshold=2, reset_timeout=30)
    story = runner.play(breaker, TimeoutError("secret"), ConnectionResetError("secret"), "never", pauses=(0, 0))
    rejected = story.answers[2]
    assert isinstance(rejected, CircuitOpenError)
    assert (rejected.last_error_type, rejected.last_category) == ("ConnectionResetError", ErrorCategory.NETWORK)
    assert (rejected.failures, rejected.retry_after) == (2, 30)
    assert rejected.__cause__ is rejected.__context__ is None
    assert "secret" not in f"{rejected} {rejected!r} {rejected.to_dict()}"


def test_each_of_many_callers_gets_a_rejection_of_its_own(runner: Runner):
    breaker = circuit_breaker("billing", failure_threshold=1)
    story = runner.play(breaker, TimeoutError(), "never", "never", pauses=(0, 0))
    first, second = story.answers[1:]
    assert first is not second
    assert str(first) == str(second)


def test_the_event_of_an_opening_says_the_category_of_the_failure_that_opened_it(runner: Runner):
    breaker = circuit_breaker("billing", failure_threshold=1, reset_timeout=30)
    story = runner.play(breaker, TimeoutError(), TimeoutError(), pauses=(30,))
    opened = [event for event in story.events if isinstance(event, CircuitOpened)]
    timed_out = ErrorCategory.TIMEOUT
    assert [(event.failures, event.category) for event in opened] == [(1, timed_out), (2, timed_out)]


@pytest.mark.parametrize("state", ["open", "half-open"])
def test_a_rejected_request_is_logged_in_one_line(state: str, caplog: pytest.LogCaptureFixture):
    from resilience.integrations.http._error_responder import log_error

    breaker = circuit_breaker(f"billing {state}", failure_threshold=1)
    with virtual_time():
        with pytest.raises(TimeoutError), breaker:
            raise TimeoutError("secret")
        if state == "half-open":
            breaker.half_open()
            IndependentCaller().enter(breaker)
        with pytest.raises(CircuitOpenError) as rejected, breaker:
            pass
    with caplog.at_level(logging.INFO, logger="resilience.integrations.http"):
        log_error(rejected.value, "GET", "/search", 503)
    (record,) = caplog.records
    assert record.exc_info is None
    assert record.levelname == "WARNING"
    assert "secret" not in caplog.text
    assert record.getMessage() == "GET /search: [RES-E005] CircuitOpenError (rejected), answered with 503"
