"""Answers for frameworks that retry by themselves."""

from __future__ import annotations

import grpc
import pytest

from resilience import Backoff, ErrorCategory, circuit_breaker, override_profiles, retry_on_category
from resilience.integrations.retry_hooks import countdown_for, is_transient
from resilience.testing import no_waits

STEADY = Backoff(base_delay=1, jitter="none", max_delay=30)


class Busy(Exception):
    category = ErrorCategory.RATE_LIMIT

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after


class PushedBack(Exception):
    """A gRPC server asks by a negative pushback not to try again."""

    category = ErrorCategory.UNAVAILABLE

    def code(self) -> object:
        return grpc.StatusCode.UNAVAILABLE

    def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("grpc-retry-pushback-ms", "-1"),)


def failure_of(function) -> Exception:
    with no_waits(), pytest.raises(Exception) as caught:
        function()
    return caught.value


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (TimeoutError(), True),
        (Busy(3), True),
        (ValueError(), False),
        (KeyboardInterrupt(), False),
        (ExceptionGroup("both", [TimeoutError(), ConnectionResetError()]), True),
        (ExceptionGroup("both", [TimeoutError(), ValueError()]), False),
    ],
    ids=["timeout", "busy", "bug", "ctrl-c", "group", "mixed"],
)
def test_a_failure_is_transient_by_its_category(error: BaseException, answer: bool):
    assert is_transient(error) is answer
    assert (countdown_for(error) is not None) is answer


def test_the_table_decides():
    with override_profiles({"not_found": {"retry": True}}):
        assert is_transient(FileNotFoundError())
    assert not is_transient(FileNotFoundError())


def test_the_countdown_grows_up_to_its_cap():
    assert [countdown_for(TimeoutError(), retries, backoff=STEADY) for retries in (0, 1, 2, 9)] == [1, 2, 4, 30]


def test_a_servers_wish_is_the_least_that_is_waited_however_long():
    countdown = countdown_for(Busy(3600), backoff=STEADY)
    assert countdown is not None
    assert 3600 <= countdown <= 3960


def test_a_server_that_asks_not_to_come_back_is_left_alone():
    assert countdown_for(PushedBack()) is None


def test_categories_that_are_named_are_retried_and_no_others():
    assert countdown_for(FileNotFoundError(), 0, "not_found") is not None
    assert countdown_for(TimeoutError(), 0, "not_found") is None


def test_an_exhausted_retry_does_not_multiply_with_a_frameworks_but_a_queue_may_try_later():
    @retry_on_category(attempts=2)
    def down() -> None:
        raise ConnectionResetError

    error = failure_of(down)
    assert not is_transient(error)
    assert countdown_for(error) is not None


def test_a_call_that_must_not_happen_twice_happens_once_everywhere():
    @retry_on_category(idempotent=False)
    def order() -> None:
        raise ConnectionResetError

    error = failure_of(order)
    assert not is_transient(error)
    assert countdown_for(error) is None


def test_a_failure_that_an_inner_retry_was_not_for_is_judged_anew():
    @retry_on_category("rate_limit")
    def slow() -> None:
        raise TimeoutError

    assert is_transient(failure_of(slow))


def test_a_task_runs_again_when_the_open_circuit_admits_calls():
    breaker = circuit_breaker("retry hooks", reset_timeout=30)
    breaker.open()
    error = failure_of(breaker(lambda: 1))
    assert not is_transient(error)
    countdown = countdown_for(error, backoff=STEADY)
    assert countdown is not None
    assert 15 <= countdown <= 33
