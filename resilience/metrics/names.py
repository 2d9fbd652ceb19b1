"""What the numbers are called, in one place: metrics, labels, buckets, span events, for Prometheus and OpenTelemetry.

OpenTelemetry has the names as they stand here. Prometheus has underscores, the unit and ``_total``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

__all__ = [
    "BOUNDS",
    "LABELS",
    "METRICS",
    "OUTCOMES",
    "SCOPE",
    "SPAN_EVENTS",
    "Metric",
    "attribute",
    "bound_name",
    "prometheus_name",
]

Kind = Literal["counter", "gauge", "histogram"]

SCOPE = "resilience"
"""The name of the meter."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Metric:
    """One metric: its dotted name, what it counts, and by what it is told apart. Equal to itself only."""

    name: str
    kind: Kind
    help: str
    labels: Sequence[str]
    unit: str = ""
    #: What several processes come to together: see prometheus_client's multiprocess mode.
    together: str = "livesum"


LABELS = {
    "target": "the qualified name of what was called",
    "outcome": "what a call came to: success, failure or cancelled",
    "code": "the error's stable code, else the name of its type",
    "category": "the label of an ErrorCategory",
    "component": "the part of the program the failure belongs to",
    "reason": "why the retry ended",
    "policy": "the circuit, or what else refused",
    "shadow": "true where a shadowing circuit only would have refused",
    "circuit": "the name of a circuit; those of its keys and objects are counted together",
    "state": "closed, open or half_open",
    "mode": "normal, disabled, shadow or isolated",
    "budget": "the name of a retry budget",
}
"""Everything a number is told apart by: each a word of the program's own, none a part of a call."""

OUTCOMES = SUCCESS, FAILURE, CANCELLED = ("success", "failure", "cancelled")
OTHER = "other"
"""Stands for whatever came after there were too many."""

BOUNDS: Sequence[float] = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets of durations, in seconds."""

CALLS = Metric(
    "resilience.calls",
    "counter",
    "Calls of tracked functions that have ended, by what they came to.",
    ("target", "outcome"),
)
DURATION = Metric(
    "resilience.call.duration",
    "histogram",
    "How long calls of tracked functions took, retries and waits included.",
    ("target", "outcome"),
    unit="s",
)
ERRORS = Metric(
    "resilience.errors",
    "counter",
    "Errors that have left tracked functions.",
    ("code", "category", "component"),
)
ATTEMPTS = Metric(
    "resilience.attempts",
    "counter",
    "Attempts that calls of tracked functions have made: one each, and one more for each retry or revision.",
    ("target",),
)
ATTEMPT_FAILURES = Metric(
    "resilience.attempt.failures", "counter", "Attempts that failed below a retry.", ("target", "category")
)
RETRIES = Metric("resilience.retries", "counter", "Retries that were scheduled.", ("target", "category"))
EXHAUSTED = Metric(
    "resilience.retries.exhausted",
    "counter",
    "Calls given up although the failure was one to retry.",
    ("target", "category", "reason"),
)
REVISIONS = Metric("resilience.revisions", "counter", "Calls made again with other arguments.", ("target", "category"))
REJECTIONS = Metric(
    "resilience.rejections", "counter", "Calls that were not made, by who refused.", ("target", "policy", "shadow")
)
TIMEOUTS = Metric("resilience.timeouts", "counter", "Calls given up because they took too long.", ("target",))
FALLBACKS = Metric(
    "resilience.fallbacks", "counter", "Callers who got a substitute, by what for.", ("target", "category")
)
FALLBACK_FAILURES = Metric(
    "resilience.fallback.failures",
    "counter",
    "Callers who got no substitute, as that failed too, by what with.",
    ("target", "category"),
)
TRANSITIONS = Metric(
    "resilience.circuit.transitions", "counter", "Circuits that came to a state.", ("circuit", "state")
)
CIRCUIT_STATE = Metric(
    "resilience.circuit.state",
    "gauge",
    "How many circuits of this name are in this state: one for each key and object.",
    ("circuit", "state"),
)
CIRCUIT_MODE = Metric(
    "resilience.circuit.mode", "gauge", "How many circuits of this name are in this mode.", ("circuit", "mode")
)
FAILURE_RATE = Metric(
    "resilience.circuit.failure_rate",
    "gauge",
    "The share of failures in the window of a closed circuit, the worst of its name.",
    ("circuit",),
    together="livemax",
)
SLOW_RATE = Metric(
    "resilience.circuit.slow_rate",
    "gauge",
    "The share of slow calls in the window of a closed circuit, the worst of its name.",
    ("circuit",),
    together="livemax",
)
BUDGET_LEFT = Metric("resilience.retry_budget.tokens", "gauge", "The tokens a retry budget has left.", ("budget",))
BUDGET_SIZE = Metric("resilience.retry_budget.size", "gauge", "The tokens of a full retry budget.", ("budget",))

METRICS: Sequence[Metric] = (
    CALLS,
    DURATION,
    ERRORS,
    ATTEMPTS,
    ATTEMPT_FAILURES,
    RETRIES,
    EXHAUSTED,
    REVISIONS,
    REJECTIONS,
    TIMEOUTS,
    FALLBACKS,
    FALLBACK_FAILURES,
    TRANSITIONS,
    CIRCUIT_STATE,
    CIRCUIT_MODE,
    FAILURE_RATE,
    SLOW_RATE,
    BUDGET_LEFT,
    BUDGET_SIZE,
)

SPAN_EVENTS: frozenset[str] = frozenset(
    {
        "retry.scheduled",
        "retry.exhausted",
        "call.revised",
        "call.rejected",
        "call.timed_out",
        "fallback.used",
        "fallback.failed",
        "circuit.opened",
        "circuit.half_opened",
        "circuit.closed",
        "circuit.mode_changed",
    }
)
"""The events that are put on the current span, by name. A failed attempt is not: what follows from it is."""


def attribute(word: str) -> str:
    """Return what OpenTelemetry calls a label, an event or one of its fields.

    >>> attribute("target"), attribute("retry.scheduled")
    ('resilience.target', 'resilience.retry.scheduled')
    """
    return f"{SCOPE}.{word}"


def prometheus_name(metric: Metric) -> str:
    """Return what the samples of a metric are called in Prometheus; a histogram's have suffixes of their own.

    >>> prometheus_name(CALLS), prometheus_name(DURATION), prometheus_name(CIRCUIT_STATE)
    ('resilience_calls_total', 'resilience_call_duration_seconds', 'resilience_circuit_state')
    """
    name = metric.name.replace(".", "_")
    if metric.unit == "s":
        name += "_seconds"
    return f"{name}_total" if metric.kind == "counter" else name


def bound_name(bound: float) -> str:
    """Return what Prometheus calls a bucket.

    >>> bound_name(0.25), bound_name(float("inf"))
    ('0.25', '+Inf')
    """
    return "+Inf" if bound == float("inf") else repr(bound)
