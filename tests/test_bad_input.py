"""Bad configuration fails where it is written, with the parameter, the value and what would be right."""

from __future__ import annotations

import math
import re
from datetime import timedelta

import pytest
import tenacity

from resilience import (
    ErrorCategory,
    circuit_breaker,
    fallback,
    override_profiles,
    profile_of,
    register,
    retry_on_category,
    retrying,
    subscribe,
    timeout,
)

nan, inf = math.nan, math.inf


def str_or_index(value: object) -> str | None:
    """Name a case by what cannot hold an address."""
    return value if isinstance(value, str) else None


RETRY = [
    ({"attempts": 0}, ValueError, "attempts=0: give a whole number of 1 or more"),
    ({"attempts": -1}, ValueError, "attempts=-1: give a whole number of 1 or more"),
    ({"attempts": 2.5}, TypeError, "attempts=2.5: give a whole number of 1 or more"),
    ({"attempts": True}, TypeError, "attempts=True: give a whole number of 1 or more"),
    ({"attempts": "3"}, TypeError, "attempts='3': give a whole number of 1 or more"),
    ({"attempts": "3"}, TypeError, "attempts='3': give a whole number of 1 or more"),
    ({"max_retries": -1}, ValueError, "max_retries=-1: give a whole number of 0 or more"),
    ({"max_retries": 1.0}, TypeError, "max_retries=1.0: give a whole number of 0 or more"),
    ({"attempts": 3, "max_retries": 2}, TypeError, "attempts=3, max_retries=2: give one of them"),
    ({"base_delay": -1}, ValueError, "base_delay=-1: give seconds (a number or a timedelta) of 0 or more"),
    ({"base_delay": nan}, ValueError, "base_delay=nan: give seconds (a number or a timedelta) of 0 or more"),
    ({"base_delay": "1"}, TypeError, "base_delay='1': give seconds (a number or a timedelta) of 0 or more"),
    ({"base_delay": timedelta(seconds=-1)}, ValueError, "base_delay=-1.0: give seconds"),
    ({"base_delay": 90}, ValueError, "base_delay=90.0: give at most max_delay=60"),
    ({"max_delay": inf}, ValueError, "max_delay=inf: give seconds"),
    ({"max_delay": -1}, ValueError, "max_delay=-1: give seconds"),
    ({"exponential_base": 0.5}, ValueError, "exponential_base=0.5: give a number of 1 or more"),
    ({"exponential_base": nan}, ValueError, "exponential_base=nan: give a number of 1 or more"),
    (
        {"jitter": "ful"},
        ValueError,
        "jitter='ful': give one of 'equal', 'full', 'decorrelated', 'none'; did you mean 'full'?",
    ),
    ({"jitter": True}, TypeError, "jitter=True: give one of 'equal'"),
    ({"jitter": None}, TypeError, "jitter=None: give one of 'equal'"),
    ({"wait": -1}, ValueError, "wait=-1: give seconds of 0 or more"),
    ({"wait": "1"}, TypeError, "wait='1': give seconds of 0 or more"),
    ({"wait": tenacity.wait_fixed}, TypeError, "give a tenacity object, such as tenacity.wait_fixed(1)"),
    ({"wait": lambda: 1}, TypeError, "or a function of one argument, its RetryCallState"),
    ({"stop": 3}, TypeError, "stop=3: give a tenacity object, such as tenacity.stop_after_delay(30)"),
    ({"retry_if": KeyError}, TypeError, "give a tenacity object, such as tenacity.retry_if_exception_type(KeyError)"),
    ({"on_retry": "print"}, TypeError, "on_retry='print': give a function that takes a RetryScheduled event"),
    ({"profiles": {"network": {"bse": 1}}}, ValueError, "profiles: 'bse' is not a field of Profile; give one of base"),
    ({"profiles": {"netwrk": {}}}, ValueError, "'netwrk' is not an ErrorCategory; did you mean 'network'?"),
]


@pytest.mark.parametrize(("parameters", "kind", "says"), RETRY, ids=str_or_index)
@pytest.mark.parametrize("decorator", [retry_on_category, retrying])
def test_an_invalid_retry_is_refused(decorator, parameters: dict, kind: type[Exception], says: str):
    with pytest.raises(kind, match=re.escape(says)):
        decorator(**parameters)


@pytest.mark.parametrize("decorator", [retry_on_category, retrying])
@pytest.mark.parametrize(
    ("name", "says"),
    [("atempts", "argument 'atempts'; did you mean 'attempts'?"), ("xyz", "got an unexpected keyword argument 'xyz'")],
)
def test_an_option_that_a_retry_does_not_have_is_refused(decorator, name: str, says: str):
    with pytest.raises(TypeError, match=re.escape(says)):
        decorator(**{name: 2})


@pytest.mark.parametrize(
    ("on", "kind", "says"),
    [
        (["tiemout"], ValueError, "on: 'tiemout' is not an ErrorCategory; did you mean 'timeout'"),
        ([ErrorCategory(0)], ValueError, "on=<ErrorCategory: 0>: an empty category matches nothing"),
        ([3], TypeError, "on=3: give an ErrorCategory or its label, such as 'timeout'"),
        (["cancelled"], ValueError, "on='cancelled': a cancelled call is never retried; name another category"),
        (
            [ConnectionError],
            TypeError,
            "the category of ConnectionError is set by resilience.register(ConnectionError, ...)",
        ),
        (["network", ConnectionError], TypeError, "on=<class 'ConnectionError'>: give an ErrorCategory or its label"),
    ],
)
def test_an_unknown_category_is_refused(on: list, kind: type[Exception], says: str):
    with pytest.raises(kind, match=re.escape(says)):
        retry_on_category(*on)


@pytest.mark.parametrize(
    ("seconds", "kind"),
    [
        (0, ValueError),
        (-1, ValueError),
        (nan, ValueError),
        (inf, ValueError),
        ("2", TypeError),
        (None, TypeError),
        (True, TypeError),
    ],
)
def test_an_invalid_time_limit_is_refused(seconds: object, kind: type[Exception]):
    with pytest.raises(
        kind, match=re.escape(f"seconds={seconds!r}: give seconds (a number or a timedelta) of more than 0")
    ):
        timeout(seconds)


@pytest.mark.parametrize(
    ("parameters", "kind", "says"),
    [
        ({"name": ""}, ValueError, "name='': give the dependency's name, such as 'billing'"),
        ({"name": 3}, TypeError, "name=3: give the dependency's name as text, such as 'billing'"),
        ({"failure_threshold": 0}, ValueError, "failure_threshold=0: give a whole number of 1 or more"),
        ({"failure_threshold": 2.0}, TypeError, "failure_threshold=2.0: give a whole number of 1 or more"),
        ({"reset_timeout": 0}, ValueError, "reset_timeout=0: give seconds (a number or a timedelta) of more than 0"),
        ({"reset_timeout": nan}, ValueError, "reset_timeout=nan"),
        ({"trip_on": "netwrk"}, ValueError, "trip_on: 'netwrk' is not an ErrorCategory; did you mean 'network'?"),
        ({"trip_on": ErrorCategory(0)}, ValueError, "trip_on=<ErrorCategory: 0>: an empty category matches nothing"),
        ({"trip_on": "rate_limit"}, ValueError, "trip_on='rate_limit': failures of this category have weight 0"),
        ({"listeners": [print]}, TypeError, "give pybreaker.CircuitBreakerListener objects"),
        ({"storage": "redis"}, TypeError, "storage='redis': give a pybreaker.CircuitBreakerStorage"),
        (
            {"profiles": {"network": {"weight": -1}}},
            ValueError,
            "profile of network: weight=-1; give a whole number >= 0",
        ),
    ],
    ids=str_or_index,
)
def test_an_invalid_circuit_is_refused(parameters: dict, kind: type[Exception], says: str):
    with pytest.raises(kind, match=re.escape(says)):
        circuit_breaker(**{"name": "b", **parameters})


def test_a_circuit_without_parentheses_says_what_to_write():
    def charge() -> None: ...

    with pytest.raises(TypeError, match=r'charge: write @circuit_breaker\("..."\)'):
        circuit_breaker(charge)


@pytest.mark.parametrize(
    ("parameters", "kind", "says"),
    [
        ({}, TypeError, "give default=, a value, or factory=, a function of the error"),
        ({"default": str_or_index}, TypeError, "a function would be handed out, not called; give factory="),
        ({"default": 1, "factory": print}, TypeError, "give one of the two, not both"),
        (
            {"factory": 3},
            TypeError,
            "factory=3: give a function that takes the error, or nothing; for a value, default=",
        ),
        ({"factory": lambda one, two: 1}, TypeError, "for a value, default=; this one takes (one, two)"),
        ({"factory": lambda *, why: 1}, TypeError, "for a value, default=; this one takes (*, why)"),
        ({"default": 1, "on": "netwrk"}, ValueError, "on: 'netwrk' is not an ErrorCategory"),
        ({"default": 1, "on": ErrorCategory(0)}, ValueError, "an empty category matches nothing"),
        ({"default": 1, "on": ConnectionError}, TypeError, "give an ErrorCategory or its label"),
    ],
    ids=str_or_index,
)
def test_an_invalid_fallback_is_refused(parameters: dict, kind: type[Exception], says: str):
    with pytest.raises(kind, match=re.escape(says)):
        fallback(**parameters)


def test_nothing_of_an_override_is_in_force_unless_all_of_it_is_right():
    before = profile_of(ErrorCategory.NETWORK)
    with pytest.raises(ValueError, match="profile of timeout: base=-1; give seconds >= 0, or None"):
        override_profiles({"network": {"base": 3.0}, "timeout": {"base": -1}})
    assert profile_of(ErrorCategory.NETWORK) is before


def test_a_listener_that_cannot_be_called_or_awaited_is_refused():
    async def hear(event: object) -> None: ...

    for listener in (None, "print", hear):
        with pytest.raises(TypeError, match="give a callable, not a coroutine function, that takes one event"):
            subscribe(listener)


def test_a_registration_needs_a_type_or_predicate_and_one_leaf():
    with pytest.raises(TypeError):
        register("KeyError", ErrorCategory.NETWORK)
    with pytest.raises(ValueError):
        register(KeyError, ErrorCategory.TRANSIENT)
