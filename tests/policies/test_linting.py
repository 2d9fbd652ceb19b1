"""lint: mistakes in a stack of policies that are certain, each by the name of its rule."""

from __future__ import annotations

import math
from typing import Any

import pytest

from resilience import (
    Finding,
    Pipeline,
    bulkhead,
    chaos,
    circuit_breaker,
    deadline,
    fallback,
    hedge,
    lint,
    retry_on_category,
    timeout,
)
from resilience._runtime.place import Place
from resilience.policies import Call, Outcome, Policy, Proceed, Steps
from resilience.policies._stack_limits import PAIR_RULES
from resilience.policies._stack_order import _NAMES, _REASONS


class RateLimit(Policy):
    """Stands for any rate limit: the order goes by the place alone."""

    place: Place | None = Place.RATE_LIMIT

    def run(self, call: Call) -> Steps:
        outcome: Outcome = yield Proceed()
        return outcome


def retry(*on: str, **options: Any) -> Any:
    return retry_on_category(*on, **options)


def breaker(**options: Any) -> Any:
    return circuit_breaker("linted", **options)


def slots(limit: int = 10, **options: Any) -> Any:
    return bulkhead("linted", limit, **options)


empty = fallback(default=None)
stock = slots()
catalogue = breaker()
per_key = breaker(key=lambda *_: 1)

faults = chaos(category="timeout")
BAD: list[tuple[str, list[Any]]] = [
    ("fallback-inside-chaos", [faults, empty]),
    ("deadline-inside-chaos", [faults, deadline(5)]),
    ("retry-inside-chaos", [faults, retry()]),
    ("hedge-inside-chaos", [faults, hedge(1)]),
    ("breaker-inside-chaos", [faults, breaker()]),
    ("breaker-inside-chaos", [retry(), chaos(latency=1, enabled=False), per_key]),
    ("rate-limit-inside-chaos", [faults, RateLimit()]),
    ("bulkhead-inside-chaos", [faults, slots()]),
    ("timeout-inside-chaos", [faults, timeout(2)]),
    ("fallback-inside-retry", [retry(), empty]),
    ("fallback-inside-retry", [deadline(5), retry(), fallback(default=0, on="timeout"), timeout(1)]),
    ("fallback-inside-retry", [retry("not_found"), fallback(default=0, on="not_found")]),
    ("fallback-inside-retry", [retry(), fallback(chain={"timeout": print})]),
    ("fallback-inside-breaker", [breaker(), empty]),
    ("fallback-inside-breaker", [breaker(trip_on="timeout"), fallback(default=0, on="timeout|network")]),
    ("fallback-inside-hedge", [hedge(1), empty]),
    ("fallback-inside-rate-limit", [RateLimit(), empty]),
    ("fallback-inside-bulkhead", [slots(), empty]),
    ("fallback-inside-timeout", [timeout(2), empty]),
    ("deadline-inside-retry", [retry(), deadline(5)]),
    ("retry-inside-breaker", [breaker(), retry()]),
    ("retry-inside-breaker", [empty, per_key, retry(), timeout(1)]),
    ("retry-inside-hedge", [hedge("p95"), retry()]),
    ("retry-inside-rate-limit", [RateLimit(), retry()]),
    ("retry-inside-bulkhead", [slots(), retry()]),
    ("hedge-inside-breaker", [breaker(), hedge()]),
    ("hedge-inside-rate-limit", [RateLimit(), hedge()]),
    ("hedge-inside-bulkhead", [slots(), hedge()]),
    ("breaker-inside-rate-limit", [RateLimit(), breaker()]),
    ("breaker-inside-bulkhead", [slots(), breaker()]),
    ("rate-limit-inside-bulkhead", [slots(), RateLimit()]),
    ("rate-limit-inside-timeout", [timeout(2), RateLimit()]),
    ("bulkhead-inside-timeout", [retry(), timeout(2), slots()]),
    ("timeout-over-deadline", [deadline(2), retry(), timeout(5)]),
    ("timeout-over-timeout", [timeout(2), retry(), timeout(5)]),
    ("deadline-over-deadline", [deadline(2), deadline(5)]),
    ("window-under-two-timeouts", [breaker(failure_rate=0.5, window_seconds=5), timeout(3)]),
    ("slow-call-over-timeout", [breaker(slow_call_rate=0.5, slow_call_seconds=3), timeout(2)]),
    ("retry-over-deadline", [deadline(2), retry(base_delay=5)]),
    ("retry-over-deadline", [timeout(2), retry(base_delay=2, jitter="none"), timeout(1)]),
    ("wait-over-deadline", [deadline(2), slots(max_wait=60)]),
    ("hedge-not-repeatable", [retry(idempotent=False), hedge()]),
    ("hedge-over-timeout", [hedge(3), timeout(2)]),
    ("hedge-over-timeout", [deadline(2), hedge(3)]),
    ("bulkhead-under-hedge", [hedge(1), slots(1)]),
    ("retry-twice", [retry(attempts=3), retry(attempts=5)]),
    ("fallback-never-reached", [fallback(default=1), fallback(default=2)]),
    ("same-policy-twice", [stock, stock]),
    ("same-policy-twice", [catalogue, catalogue]),
    ("same-policy-twice", [per_key, timeout(2), per_key]),
]

GOOD: list[list[Any]] = [
    [fallback(default=0), deadline(10), retry(), hedge(1), breaker(), RateLimit(), slots(), timeout(2)],
    [deadline(10), fallback(default=0), retry(), timeout(2)],
    [retry(), breaker(), timeout(2), chaos(latency=1), chaos(category="timeout", rate=0.1)],
    [timeout(10), retry(), breaker(), slots(), timeout(2)],
    [timeout(10), fallback(default=0), retry(), timeout(2)],
    [timeout(10), slots(), timeout(2)],
    [timeout(2), slots(max_queue=0)],
    [timeout(2), breaker()],
    [deadline(2), timeout(2)],
    [deadline(2), slots(max_wait=2)],
    [retry("timeout"), fallback(default=0, on="not_found")],
    [breaker(), fallback(default=0, on="validation")],
    [slots(), fallback(default=0, on="timeout")],
    [breaker(failure_rate=0.5, window_seconds=4), timeout(2)],
    [breaker(slow_call_rate=0.5, slow_call_seconds=1), timeout(2)],
    [deadline(2), retry(base_delay=5, jitter="full")],
    [deadline(2), retry(waits={"timeout": 5.0})],
    [retry("network"), retry("timeout")],
    [retry(retry_exhausted=True), retry()],
    [retry(retry_if_result=lambda result: not result), retry()],
    [retry(), hedge("p95", to_threads=True), breaker(), timeout(2)],
    [fallback(default=1, on="validation"), fallback(default=2)],
    [fallback(default=1), fallback(factory=repr)],
    [retry(idempotent=False), timeout(2)],
    [slots(), slots()],
    [hedge(1), slots(2)],
    [timeout(first_item=10, idle=5)],
    [deadline(2), retry(), timeout(first_item=1, idle=60)],
]


def rules(stack: list[Any]) -> list[str]:
    return [finding.rule for finding in lint(Pipeline(*stack))]


@pytest.mark.parametrize(("rule", "stack"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_a_bad_stack_breaks_its_rule_and_no_other(rule: str, stack: list[Any]):
    assert set(rules(stack)) == {rule}


def test_each_rule_has_a_bad_stack():
    of_order = {f"{_NAMES[inner]}-inside-{_NAMES[outer]}" for outer, inner in _REASONS}
    assert {rule for rule, _ in BAD} == of_order | {rule.name for rule in PAIR_RULES}
    assert len(BAD) >= 30


@pytest.mark.parametrize("stack", GOOD, ids=lambda stack: str(Pipeline(*stack))[:60])
def test_a_good_stack_breaks_none(stack: list[Any]):
    assert rules(stack) == []


def test_a_function_is_linted_as_it_is_decorated():
    @circuit_breaker("lint of a function")
    @retry_on_category(attempts=3)
    def charge(card: str) -> None: ...

    (finding,) = lint(charge)
    assert finding == Finding(
        "retry-inside-breaker",
        "retry_on_category(transient, attempts=3, base_delay=by category, max_delay=60, jitter=equal) is inside"
        " circuit_breaker('lint of a function', failure_threshold=5, reset_timeout=60): all attempts are one failure"
        " to the circuit, which cannot stop the second and third; put the retry outside",
    )
    assert str(finding).startswith("retry-inside-breaker: retry_on_category(")


def test_a_message_names_numbers_and_what_to_write():
    (finding,) = lint(Pipeline(breaker(failure_rate=0.5, window_seconds=5), timeout(3)))
    assert "give window_seconds=6 or more, or a shorter time limit" in finding.message
    (finding,) = lint(Pipeline(hedge(1, copies=2, budget=2), slots(2)))
    assert "give 3 or more" in finding.message


def test_of_a_class_each_finding_is_given_once():
    @circuit_breaker("lint of a class", per_instance=True)
    @retry_on_category(attempts=3)
    class Client:
        def get(self) -> None: ...

        def put(self) -> None: ...

    assert [finding.rule for finding in lint(Client)] == ["retry-inside-breaker"]
    assert [finding.rule for finding in lint(Client().get)] == ["retry-inside-breaker"]


def test_what_is_not_guarded_breaks_no_rule():
    assert lint(print) == ()
    assert lint(dict) == ()
    assert lint(timeout(2)) == ()


def test_a_policy_of_a_users_own_is_left_alone():
    class Own(Policy):
        def run(self, call: Call) -> Steps:
            outcome: Outcome = yield Proceed()
            return outcome

    assert rules([Own(), fallback(default=0), Own(), retry(), Own()]) == []


@pytest.mark.parametrize("target", [None, 3, "shop.search"])
def test_what_cannot_be_guarded_is_refused(target: object):
    with pytest.raises(TypeError, match=r"lint\(.*\): give a function, a method, a class, a pipeline or a policy"):
        lint(target)


def test_the_places_are_in_the_right_order():
    assert [place.label for place in sorted(Place)] == [
        "fallback",
        "deadline",
        "retry",
        "hedge",
        "circuit breaker",
        "rate limit",
        "bulkhead",
        "time limit",
        "chaos",
    ]
    assert hedge(0.5).seconds == 0.5
    assert hedge("p95").seconds < math.inf
