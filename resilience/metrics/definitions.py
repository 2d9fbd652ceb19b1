"""The metrics of this package: names, help texts, labels and buckets, the same for Prometheus and OpenTelemetry.

Here are the metrics of tracked calls, of circuits and of retry budgets. The counters of events are declared by the
events themselves (`resilience.events.event_type`), and `all_metrics` puts the two together. No exporter spells a name
or a label: to rename a metric is to change one line here or above an event.

OpenTelemetry gets the names as they stand here, and its attributes have ``resilience.`` before them. Prometheus gets
`Metric.prometheus_name`.
"""

from __future__ import annotations

import math

from resilience._metric import Counter, Gauge, Histogram, Metric
from resilience.events import event_types

__all__ = [
    "BOUNDS",
    "LABELS",
    "OTHER",
    "OUTCOMES",
    "SCOPE",
    "all_metrics",
    "attribute",
    "bound_name",
    "event_counters",
]

SCOPE = "resilience"
"""The name of the meter, and what attributes and span events of OpenTelemetry begin with."""

LABELS = {
    "target": "the qualified name of the function",
    "outcome": "success, failure or cancelled",
    "code": "the error's stable code, else the name of its type",
    "category": "the label of an ErrorCategory",
    "component": "the part of the program the failure belongs to",
    "reason": "why the retry ended",
    "policy": "the circuit, or the kind of policy, that rejected the call",
    "shadow": "true where a shadowing circuit would have rejected the call and did not",
    "circuit": "the name of a circuit; those of its keys and objects are counted together",
    "state": "closed, open or half_open",
    "mode": "normal, disabled, shadow or isolated",
    "action": "isolate, disable, shadow or reset",
    "header": "the header of a request whose deadline was ignored",
    "kind": "what an injected fault does: error, latency or result",
    "budget": "the name of a retry budget",
    "fleet": "the name of a fleet of processes",
}
"""The labels and what their values mean. Each value is a word of the program, none a part of a call."""

OUTCOMES = SUCCESS, FAILURE, CANCELLED = ("success", "failure", "cancelled")

OTHER = "other"
"""The label value of all further ones when a metric has reached the number that it keeps apart."""

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets of durations, in seconds."""

CALLS = Counter(
    "resilience.calls", "Calls of tracked functions that have ended, by their outcome.", ("target", "outcome")
)
DURATION = Histogram(
    "resilience.call.duration",
    "How long calls of tracked functions took, retries and waits included.",
    ("target", "outcome"),
    BOUNDS,
)
ERRORS = Counter("resilience.errors", "Errors that have left tracked functions.", ("code", "category", "component"))
ATTEMPTS = Counter(
    "resilience.attempts",
    "Attempts that calls of tracked functions have made: one each, and one more for each retry or revision.",
    ("target",),
)

CIRCUIT_STATE = Gauge(
    "resilience.circuit.state",
    "How many circuits of this name are in this state: one for each key and object.",
    ("circuit", "state"),
)
CIRCUIT_MODE = Gauge("resilience.circuit.mode", "How many circuits of this name are in this mode.", ("circuit", "mode"))
FAILURE_RATE = Gauge(
    "resilience.circuit.failure_rate",
    "The share of failures in the window of a closed circuit, the worst of its name.",
    ("circuit",),
    multiprocess_mode="livemax",
)
SLOW_RATE = Gauge(
    "resilience.circuit.slow_rate",
    "The share of slow calls in the window of a closed circuit, the worst of its name.",
    ("circuit",),
    multiprocess_mode="livemax",
)
SHED_SHARE = Gauge(
    "resilience.circuit.shed",
    "The share of calls that a partial circuit rejects, the highest of its name: 1 while it is open.",
    ("circuit",),
    multiprocess_mode="livemax",
)

FLEET_LOST = Gauge(
    "resilience.fleet.lost",
    "1 while the store of the fleet cannot be reached, and the process decides by itself; else 0.",
    ("fleet",),
    multiprocess_mode="livemax",
)

BUDGET_LEFT = Gauge("resilience.retry_budget.tokens", "The tokens a retry budget has left.", ("budget",))
BUDGET_SIZE = Gauge("resilience.retry_budget.size", "The tokens of a full retry budget.", ("budget",))

LIMIT = Gauge(
    "resilience.adaptive_limit.limit",
    "The calls that an adaptive limit admits at a time, the highest of its name.",
    ("policy",),
)
LIMIT_IN_FLIGHT = Gauge(
    "resilience.adaptive_limit.in_flight", "The calls that are in flight through adaptive limits.", ("policy",)
)


def event_counters() -> tuple[Counter, ...]:
    """Return the counters that kinds of events declare, each once, in the order of the events."""
    return tuple(dict.fromkeys(kind.counter for kind in event_types() if kind.counter is not None))


def all_metrics() -> tuple[Metric, ...]:
    """Return every metric there is, the counters of the application's own events included."""
    calls = CALLS, DURATION, ERRORS, ATTEMPTS
    circuits = CIRCUIT_STATE, CIRCUIT_MODE, FAILURE_RATE, SLOW_RATE, SHED_SHARE
    return (*calls, *event_counters(), *circuits, FLEET_LOST, BUDGET_LEFT, BUDGET_SIZE, LIMIT, LIMIT_IN_FLIGHT)


def attribute(word: str) -> str:
    """Return the OpenTelemetry name of a label, an event or an event's field.

    >>> attribute("target"), attribute("retry.scheduled")
    ('resilience.target', 'resilience.retry.scheduled')
    """
    return f"{SCOPE}.{word}"


def bound_name(bound: float) -> str:
    """Return the value of Prometheus' label ``le`` for a bucket that ends at *bound* seconds.

    >>> bound_name(0.25), bound_name(math.inf)
    ('0.25', '+Inf')
    """
    return {math.inf: "+Inf"}.get(bound, repr(bound))
