"""A recorded trace: its failures, planned again from the lines of a log, lead to the same decisions."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

from resilience import ErrorCategory, chaos, circuit_breaker, fail_next, fallback, retry_on_category
from resilience.testing import record_events, virtual_time

DECISIONS = {"attempt.failed", "retry.scheduled", "retry.exhausted", "fallback.used", "circuit.opened"}


def stack(name: str) -> Callable[[], str]:
    @fallback(default="none")
    @retry_on_category(attempts=3, base_delay=1, jitter="none")
    @circuit_breaker(name, failure_threshold=1000)
    def price() -> str:
        return "12.50"

    return price


def recorded(events: Any) -> list[dict[str, Any]]:
    """The decisions, as the lines of a log have them: through JSON, and without the name of the function."""
    lines = [json.dumps({"name": event.name, **event.fields()}) for event in events if event.name in DECISIONS]
    return [{key: value for key, value in json.loads(line).items() if key != "target"} for line in lines]


def failures_by_call(trace: list[dict[str, Any]]) -> Iterator[list[str]]:
    failed = [line for line in trace if line["name"] == "attempt.failed"]
    calls = itertools.accumulate(line["attempt"] == 1 for line in failed)
    for _, lines in itertools.groupby(zip(calls, failed, strict=True), key=lambda pair: pair[0]):
        yield [line["category"] for _, line in lines]


def test_a_recorded_trace_replays_to_the_same_decisions():
    price = stack("traced")
    with virtual_time(), record_events() as events, chaos(price, category="transient", rate=0.4, seed=11):
        for _ in range(60):
            price()
    trace = recorded(events)
    assert {line["name"] for line in trace} >= {"retry.scheduled", "fallback.used"}

    again = stack("replayed")
    with virtual_time(), record_events() as replayed:
        for categories in failures_by_call(trace):
            with contextlib.ExitStack() as planned:
                for category in categories:
                    planned.enter_context(fail_next(again, 1, ErrorCategory(category)))
                again()
    assert recorded(replayed) == trace
