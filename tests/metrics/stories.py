"""Calls after which every metric has a number."""

from __future__ import annotations

import dataclasses
import gc

import resilience
from resilience import (
    CircuitBreaker,
    ErrorCategory,
    RetryBudget,
    adaptive_limit,
    circuit_breaker,
    fallback,
    retry_on_category,
)
from resilience._listeners import emit, subscribe
from resilience.events import Event, event_types
from resilience.fleet import Fleet
from resilience.metrics import track_errors
from resilience.testing import virtual_time
from tests.runners import Runner, Takes

__all__ = ["everything"]


VALUES = {
    "str": "",
    "int": 1,
    "float": 1.0,
    "bool": False,
    "ErrorCategory": ErrorCategory.SYNTAX,
    "Exception": KeyError("secret"),
    "Literal['error', 'latency', 'result']": "error",
}


def made_up(kind: type[Event]) -> Event:
    """Return an event of a kind that is hard to bring about."""
    fields = [field for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING]
    return kind(**{field.name: VALUES[field.type] for field in fields})


def everything() -> list[object]:
    """Have something of each kind happen; return what is to be kept alive while it is looked at."""
    heard: list[Event] = []
    with subscribe(heard.append):
        kept = story()
    for kind in set(event_types()) - {type(event) for event in heard}:
        emit(made_up(kind))
    return kept


def story() -> list[object]:
    """Call what is guarded until nearly every kind of event has happened."""
    gc.collect()  # circuits of other tests
    budget = RetryBudget("billing", tokens=100)
    breaker = circuit_breaker(
        "metered books",
        failure_threshold=2,
        failure_rate=0.9,
        slow_call_rate=1.0,
        slow_call_seconds=9,
        reset_timeout=30,
    )

    def decorate(function):
        limited = breaker(resilience.timeout(5)(function))
        return track_errors(fallback(default="other")(retry_on_category(attempts=2, budget=budget)(limited)))

    Runner("sync").play(
        decorate, ConnectionResetError(), Takes(9), "ok", Takes(0.3, "ok"), KeyError("secret"), pauses=(0, 30, 0, 0)
    )

    Runner("sync").play(fallback(factory=lambda error: 1 / 0), ConnectionResetError())
    partial = circuit_breaker("metered partly", partial=True)
    keyed = CircuitBreaker("metered hosts", key=lambda host: host, failure_threshold=1, reset_timeout=1e9)

    @keyed
    def fetch(host: str) -> None:
        raise ConnectionResetError

    with virtual_time():
        for number in range(3):
            try:
                fetch(f"host-{number}")
            except ConnectionResetError:
                pass
    fleet = Fleet("memory://", name="metered")
    return [budget, breaker, partial, keyed, fetch, adaptive_limit("metered shelves"), fleet]
