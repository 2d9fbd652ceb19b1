"""The base of errors: what a class declares, what an instance carries."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from resilience import ErrorCategory, Severity, circuit_breaker, classify, override_profiles, retry_after
from resilience.errors import (
    AdaptiveLimitError,
    BulkheadFullError,
    CallTimeoutError,
    DeadlineExceededError,
    RateLimitedError,
    ResilienceError,
    RetriesExhaustedError,
    ThreadNotStartedError,
    ThrottledError,
    TooManyAbandonedError,
)
from resilience.errors._user_messages import USER_MESSAGES
from resilience.errors.circuit import CircuitOpenError
from resilience.testing import virtual_time


class Locked(ResilienceError, code="BASE-E001", category="conflict", severity="critical", user_message="Come back."):
    pass


class Lost(ResilienceError):
    code = "BASE-E002"
    category = "not_found"  # a label is as good as the member
    severity = Severity.DEBUG


def test_a_class_declares_by_keywords_or_in_its_body():
    assert (Locked.code, Locked.category, Locked.severity) == ("BASE-E001", ErrorCategory.CONFLICT, Severity.CRITICAL)
    assert Locked().user_message == "Come back."
    assert (Lost.code, Lost.category, Lost.severity) == ("BASE-E002", ErrorCategory.NOT_FOUND, Severity.DEBUG)
    assert classify(Lost()) is ErrorCategory.NOT_FOUND


def test_what_a_class_does_not_declare_it_inherits():
    class Under(Locked): ...

    assert (Under.code, Under().severity, Under().user_message) == ("BASE-E001", Severity.CRITICAL, "Come back.")


def test_severity_and_user_message_are_those_of_the_category():
    error = ResilienceError("secret inside", category="timeout")
    assert error.severity is Severity.WARNING
    assert error.user_message == "This took too long. Please try again."
    with override_profiles({"timeout": {"severity": Severity.CRITICAL}}):
        assert error.severity is Severity.CRITICAL


@pytest.mark.parametrize("leaf", ErrorCategory, ids=str)
def test_every_category_has_a_sentence_for_users(leaf):
    assert USER_MESSAGES[leaf].endswith(".")


def test_an_instance_may_differ_from_its_class():
    error = Locked("m", code="BASE-E099", category="timeout", severity="info", user_message="Wait.")
    assert (error.code, error.category, error.severity, error.user_message) == (
        "BASE-E099",
        ErrorCategory.TIMEOUT,
        Severity.INFO,
        "Wait.",
    )
    assert classify(error) is ErrorCategory.TIMEOUT
    assert classify(Locked("m")) is ErrorCategory.CONFLICT


def test_the_message_is_what_the_error_says_and_the_code_is_no_part_of_it():
    assert str(Locked("lamp")) == Locked("lamp").message == "lamp"
    assert (str(ResilienceError()), ResilienceError().args) == ("", ())


@pytest.mark.parametrize(("given", "kept"), [(0, 0), (2, 2), (1.5, 1.5), (timedelta(seconds=3), 3.0), (-1, 0)])
def test_retry_after_is_kept_and_zero_means_at_once(given, kept):
    error = ResilienceError("later", retry_after=given)
    assert (error.retry_after, retry_after(error)) == (kept, kept)
    assert error.to_dict()["retry_after"] == kept
    assert type(error.retry_after) is type(kept)


def test_without_one_there_is_no_retry_after():
    assert ResilienceError().retry_after is None
    assert "retry_after" not in ResilienceError().to_dict()


@pytest.mark.parametrize(
    ("given", "kind", "says"),
    [
        ({"category": "tiemout"}, ValueError, "category: 'tiemout' is not an ErrorCategory; did you mean 'timeout'?"),
        ({"category": "any_timeout"}, ValueError, "category='any_timeout': give one leaf, such as 'timeout'"),
        ({"category": 5}, TypeError, "category=5: give an ErrorCategory or its label"),
        ({"code": "X1"}, ValueError, "code='X1': give a prefix, -E and three digits, such as 'SHOP-E003'"),
        ({"code": 404}, TypeError, "code=404: give a prefix, -E and three digits"),
        ({"severity": "loud"}, ValueError, "severity='loud': give one of 'debug', 'info'"),
    ],
)
def test_a_wrong_word_fails_where_it_is_written(given, kind, says):
    with pytest.raises(kind) as refused:
        ResilienceError("m", **given)
    assert str(refused.value).startswith(says)
    with pytest.raises(kind) as refused:
        type("Wrong", (ResilienceError,), {}, **given)
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize("given", ["30", True, float("nan")], ids=repr)
def test_a_wait_that_is_no_number_is_refused(given):
    with pytest.raises(TypeError, match=r"^retry_after=.*: give seconds \(a number or a timedelta\) of 0 or more$"):
        ResilienceError(retry_after=given)


def test_details_that_are_no_dict_are_refused():
    with pytest.raises(TypeError, match=r"^details=5: give a dict"):
        ResilienceError(details=5)


def test_details_are_the_error_s_own():
    given = {"a": 1}
    one, other = ResilienceError(details=given), ResilienceError()
    one.details["b"] = 2
    other.details["c"] = 3
    assert (given, ResilienceError().details, other.details) == ({"a": 1}, {}, {"c": 3})


def test_a_subclass_may_have_any_constructor_and_call_nothing():
    class Odd(ResilienceError):
        def __init__(self, a, *, b):
            self.message = f"{a} and {b}"

        def __str__(self):
            return self.message

    error = Odd(1, b=2)
    assert error.to_dict() == {"error": "RES-E000", "message": "1 and 2", "details": {}}
    assert (error.severity, error.retry_after) == (Severity.ERROR, None)


def test_a_property_is_left_alone():
    class ByStatus(ResilienceError):
        status = 503

        @property
        def category(self):
            return ErrorCategory.UNAVAILABLE if self.status == 503 else ErrorCategory.UNKNOWN

    assert ByStatus().to_problem()["status"] == 503
    assert classify(ByStatus()) is ErrorCategory.UNAVAILABLE


# -- context ----------------------------------------------------------------------------------------------------------


def test_context_is_added_to_the_same_error_and_nothing_is_lost():
    error = ResilienceError("no price", details={"item": "lamp"})
    with pytest.raises(ResilienceError) as caught:
        try:
            raise error
        except ResilienceError as inner:
            raise inner.with_context("pricing the basket", item="shade", basket=7)
    assert caught.value is error
    assert error.details == {"item": "lamp", "item_2": "shade", "basket": 7}
    assert error.__notes__ == ["pricing the basket"]
    assert error.with_context(item="lamp").with_context(item="shade").details == error.details
    assert error.with_context(item="third").details["item_3"] == "third"


def test_context_without_a_message_adds_no_note():
    assert not hasattr(ResilienceError().with_context(a=1), "__notes__")


# -- the toolkit's own ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "details", "wait"),
    [
        (CallTimeoutError("shop.search", 2.0), "RES-E001", {"target": "shop.search", "limit": 2.0}, None),
        (DeadlineExceededError("shop.search"), "RES-E002", {"target": "shop.search", "limit": None}, None),
        (
            RetriesExhaustedError("s", 3, "attempts", 0.0),
            "RES-E003",
            {"target": "s", "attempts": 3, "reason": "attempts"},
            0.0,
        ),
        (
            TooManyAbandonedError("s", 64),
            "RES-E004",
            {"target": "s", "running": 64, "scope": "process", "policy": "timeout"},
            None,
        ),
        (
            ThreadNotStartedError("s", "no more"),
            "RES-E007",
            {"target": "s", "reason": "no more", "policy": "timeout"},
            1.0,
        ),
        (
            BulkheadFullError("b", 20, 40, "its queue is full", 0.5),
            "RES-E008",
            {"bulkhead": "b", "limit": 20, "queued": 40, "reason": "its queue is full"},
            0.5,
        ),
        (
            AdaptiveLimitError("a", 1, 4, "its queue is full", 0.5),
            "RES-E011",
            {"adaptive_limit": "a", "limit": 1, "queued": 4, "reason": "its queue is full"},
            0.5,
        ),
        (RateLimitedError("r", "10/s", 2, 0.5), "RES-E009", {"rate_limit": "r", "rate": "10/s", "cost": 2}, 0.5),
        (
            ThrottledError("t", 0.4, 0.8),
            "RES-E010",
            {"throttle": "t", "share": 0.4},
            0.8,
        ),
        (
            CircuitOpenError("b", 12.4, 5, "E", ErrorCategory.TIMEOUT),
            "RES-E005",
            {"circuit": "b", "failures": 5, "last": "E", "last_category": "timeout"},
            12.4,
        ),
        (
            CircuitOpenError("b", float("inf")),
            "RES-E005",
            {"circuit": "b", "failures": 0, "last": None, "last_category": None},
            None,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_the_toolkit_s_errors_have_codes_and_details(error, code, details, wait):
    body = {"error": code, "message": str(error), "details": details}
    assert error.to_dict() == body | ({} if wait is None else {"retry_after": wait})
    assert json.loads(json.dumps(error.to_dict(), allow_nan=False)) == error.to_dict()


def test_a_rejection_that_skipped_its_constructor_has_everything():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    with virtual_time():
        with pytest.raises(TimeoutError), breaker:
            raise TimeoutError("down")
        with pytest.raises(CircuitOpenError) as rejected, breaker:
            pass
    error = rejected.value
    assert error.__dict__ == {}
    assert (error.code, error.category, error.severity) == ("RES-E005", ErrorCategory.REJECTED, Severity.WARNING)
    assert error.to_dict()["details"] == {
        "circuit": "b",
        "failures": 1,
        "last": "TimeoutError",
        "last_category": "timeout",
    }
    assert error.with_context("at checkout", basket=7).details["basket"] == 7


def test_a_time_limit_s_target_is_no_errno():
    error = CallTimeoutError("shop.search", 2.0)
    assert (error.errno, error.strerror, error.args) == (None, None, ("shop.search", 2.0))


def test_a_wait_that_is_longer_than_any_float_is_left_out_of_documents():
    error = ResilienceError("busy", retry_after=10**400)
    assert "retry_after" not in error.to_dict()
    assert "retry_after" not in error.to_problem()
