"""The worst case of a stack agrees with a run in which every call fails as slowly as it may."""

from __future__ import annotations

import math

import pytest
import tenacity

from resilience import (
    Backoff,
    ErrorCategory,
    WorstCase,
    circuit_breaker,
    deadline,
    describe,
    fallback,
    retry_on_category,
    timeout,
)

three = retry_on_category("network", attempts=3, base_delay=1, max_delay=10, jitter="none")


def worst(*policies: object) -> WorstCase:
    def called() -> None: ...

    guarded = called
    for policy in reversed(policies):
        guarded = policy(guarded)
    return describe(guarded).worst


def test_the_worst_case_of_a_function_is_one_call_of_unknown_length():
    assert describe(len).worst == worst(fallback(default=0), circuit_breaker("a")) == WorstCase()
    assert str(WorstCase()) == "worst case: 1 call, 0 s of waiting and what the calls take"


def test_the_worst_case_of_a_retry_is_its_attempts_and_its_waits():
    found = worst(three)
    assert (found.calls, found.waits, found.seconds, found.hint) == (3, 1 + 2, math.inf, 11.0)
    calls = "worst case: 3 calls, 3 s of waiting and what the calls take"
    assert str(found) == f"{calls} (up to 11 s per wait if the server sends Retry-After)"


def test_a_limit_for_each_attempt_bounds_the_worst_case():
    found = worst(three, timeout(2))
    assert (found.calls, found.seconds) == (3, 3 * 2 + 3)
    assert str(found) == "worst case: 3 calls, 9 s (up to 11 s per wait if the server sends Retry-After)"


@pytest.mark.parametrize("outer", [deadline(4), timeout(4)])
def test_an_outer_limit_bounds_the_worst_case(outer: object):
    found = worst(outer, three, timeout(2))
    assert (found.calls, found.waits, found.seconds) == (3, 3, 4)
    assert worst(deadline(1), three).waits == 1
    assert worst(deadline(40), three, timeout(2)).seconds == 9


def test_the_worst_case_of_a_single_attempt_has_no_waits():
    found = worst(retry_on_category(attempts=1), timeout(2))
    assert (found.calls, found.waits, found.seconds, found.hint) == (1, 0, 2, 0)


def test_the_category_that_waits_longest_counts():
    assert worst(retry_on_category("network", "rate_limit", attempts=2)).waits == 1.0  # of a rate limit
    assert worst(retry_on_category("network", attempts=2)).waits == 0.1
    own = {"timeout": Backoff(7, 30, jitter="full"), "network": 2}
    assert worst(retry_on_category("network", "timeout", attempts=3, waits=own)).waits == 7 + 14
    assert worst(retry_on_category("network", "timeout", attempts=3, waits=own)).hint == pytest.approx(66)
    assert worst(retry_on_category("network", attempts=2, waits={"network": Backoff(1, 90)})).hint == pytest.approx(99)


def test_waits_grow_to_the_cap_and_stay_there():
    full = retry_on_category("network", attempts=6, base_delay=1, max_delay=5, jitter="full")
    assert worst(full).waits == 1 + 2 + 4 + 5 + 5
    decorrelated = retry_on_category("network", attempts=4, base_delay=1, max_delay=60, jitter="decorrelated")
    assert worst(decorrelated).waits == 3 + 9 + 27
    assert worst(retry_on_category("network", attempts=9, base_delay=0)).waits == 0


def test_nested_retries_of_the_same_categories_do_not_multiply():
    assert worst(three, three).calls == 3
    assert worst(three, three).waits == 3
    wider = retry_on_category("network", "timeout", attempts=4, base_delay=0)
    assert worst(wider, three).calls == 12  # a timeout, after two lost connections, is tried again
    assert worst(wider, three).waits == 12
    assert worst(three, wider).calls == 4


def test_a_nested_retry_of_two_attempts_has_retried_and_one_of_a_single_attempt_has_not():
    assert worst(three, retry_on_category("network", attempts=2)).calls == 2
    assert worst(three, retry_on_category("network", attempts=1)).calls == 3


def test_nested_retries_multiply_with_retry_exhausted():
    multiplying = retry_on_category("network", attempts=4, base_delay=0, retry_exhausted=True)
    assert worst(multiplying, three, timeout(1)).calls == 12
    assert worst(multiplying, three, timeout(1)).seconds == 4 * (3 + 3)


def test_nested_retries_multiply_where_results_are_retried():
    polling = retry_on_category("network", attempts=4, base_delay=0, retry_if_result=lambda result: not result)
    assert worst(polling, three).calls == 12


def test_revisions_are_added_to_the_attempts():
    assert worst(retry_on_category("network", attempts=3, base_delay=0, revise=lambda call, report: None)).calls == 6


@pytest.mark.parametrize(
    "options", [{"wait": tenacity.wait_random(0, 9)}, {"waits": {"network": tenacity.wait_fixed(3)}}]
)
def test_the_waits_of_a_strategy_are_unbounded(options: dict[str, object]):
    found = worst(retry_on_category("network", **options))
    assert (found.calls, found.waits) == (3, math.inf)
    assert str(found).startswith("worst case: 3 calls, no limit to the waiting (")
    assert worst(retry_on_category("network", attempts=1, **options)).waits == 0
    assert worst(retry_on_category("network", retry_if=tenacity.retry_never)).waits < 1


def test_without_a_limit_of_attempts_the_worst_case_is_infinite():
    endless = retry_on_category("network", stop=tenacity.stop_after_delay(9))
    assert (worst(endless).calls, worst(endless).waits, worst(endless).seconds) == (math.inf,) * 3
    assert str(worst(endless)).startswith("worst case: any number of calls, no limit to the waiting (")
    eager = retry_on_category("network", stop=tenacity.stop_after_delay(9), base_delay=0)
    assert (worst(eager).waits, worst(eager, timeout(1)).seconds) == (0, math.inf)
    assert worst(deadline(5), endless).seconds == 5


def test_nested_retries_of_different_categories_multiply():
    assert worst(three).retried == ErrorCategory.NETWORK.value


@pytest.mark.parametrize(
    "worst,text",
    [
        (WorstCase(), "1 call, 0 s of waiting and what the calls take"),
        (WorstCase(3, 2.5), "3 calls, 2.5 s of waiting and what the calls take"),
        (WorstCase(3, 2.5, 10.0), "3 calls, 10 s"),
        (WorstCase(math.inf, math.inf), "any number of calls, no limit to the waiting"),
        (WorstCase(2, 1, 4, hint=1), "2 calls, 4 s (up to 1 s per wait if the server sends Retry-After)"),
        (WorstCase(unknown=("Pace",)), "unknown (Pace does not say)"),
        (WorstCase(unknown=("Pace", "Hedge", "Pace"), seconds=5), "unknown (Pace and Hedge do not say), 5 s in all"),
    ],
)
def test_it_is_one_line_of_text(worst: WorstCase, text: str):
    assert str(worst) == f"worst case: {text}"
