"""Events: frozen records of what policies did, and the table of their kinds.

A policy emits an event when an attempt fails, a retry is scheduled, a circuit opens, a limit expires. It builds one
only when there is a listener. An event never holds a call's arguments or its result, and its `repr` never shows an
error's message: all three may carry secrets.

Each kind of event declares by `event_type`, above its class, all that loggers and exporters have to know of it: its
dotted name, its log level, the counter it adds to, whether it appears on the current span. The logging sink,
Prometheus, OpenTelemetry, the tables in the documentation and the dashboard follow from these declarations. A new kind
is one class in this file and the line that emits it.

`subscribe` and `emit` live in `resilience.subscription`, which a program without listeners imports alone.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import ClassVar, TypeVar, dataclass_transform

from resilience._metric import Counter
from resilience.category import ErrorCategory, Severity
from resilience.subscription import Subscription, emit, subscribe

__all__ = [
    "AttemptFailed",
    "CallRejected",
    "CallRevised",
    "CircuitClosed",
    "CircuitHalfOpened",
    "CircuitModeChanged",
    "CircuitOpened",
    "CircuitTransition",
    "Counter",
    "Event",
    "FallbackFailed",
    "FallbackUsed",
    "RetriesExhausted",
    "RetryScheduled",
    "Subscription",
    "ThreadsExhausted",
    "TimedOut",
    "emit",
    "event_type",
    "event_types",
    "subscribe",
]

_NAME = re.compile(r"[a-z_]+(\.[a-z_]+)+")
_declared: dict[str, type[Event]] = {}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events: *target* is the qualified name of the function called, *policy* names the policy.

    The class variables are what `event_type` sets on each kind. A subclass without that declaration is an event as
    well: it is logged under its `name` at its `severity`, and neither counted nor shown on spans.
    """

    name: ClassVar[str] = "event"
    severity: ClassVar[Severity] = Severity.INFO
    #: The metric that each event of this kind adds one to.
    counter: ClassVar[Counter | None] = None
    #: Whether OpenTelemetry adds it to the span that is current where it is emitted.
    on_span: ClassVar[bool] = False
    #: Whether it is logged at the severity of its category where that is higher than its own.
    escalates: ClassVar[bool] = True

    target: str
    policy: str

    def fields(self) -> dict[str, object]:
        """Return the fields for a log line or a JSON document: plain values under stable keys.

        A category is its label, an error the name of its type. What is None or infinite is left out: JSON has no
        infinity.

        >>> TimedOut(target="shop.search", policy="timeout", limit=2.0).fields()
        {'target': 'shop.search', 'policy': 'timeout', 'limit': 2.0}
        """
        shown: dict[str, object] = {}
        for field in dataclasses.fields(self):
            value: object = getattr(self, field.name)
            if isinstance(value, ErrorCategory):
                shown[field.name] = value.label
            elif isinstance(value, Exception):
                shown[field.name] = type(value).__name__
            elif value is not None and value != math.inf:
                shown[field.name] = value
        return shown


E = TypeVar("E", bound=Event)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field,))
def event_type(
    name: str,
    severity: Severity,
    *,
    counter: Counter | None = None,
    on_span: bool = True,
    escalates: bool = True,
) -> Callable[[type[E]], type[E]]:
    """Make a class a kind of event: a frozen dataclass with a *name* of its own and everything others need to know.

    *severity* is the level of its log line, or with *escalates* that of its category where that is higher. *counter* is
    the metric it adds one to; each label is an attribute of the event, a field or a class variable. *on_span* adds it
    to the current OpenTelemetry span.

    Raises TypeError where the class is made for a class that is not an `Event` and for a label that the event lacks,
    ValueError for a name that is not made of words joined by dots, or that another kind of event or metric has.

    >>> lost = Counter("shop.orders.lost", "Orders that were lost.", ("target", "shelf"))
    >>> @event_type("order.lost", Severity.ERROR, counter=lost)
    ... class OrderLost(Event):
    ...     '''An order was accepted and its item is not on *shelf*.'''
    ...     shelf: str
    >>> OrderLost(target="shop.search", policy="stock", shelf="A").fields()
    {'target': 'shop.search', 'policy': 'stock', 'shelf': 'A'}
    """

    def declare(cls: type[E]) -> type[E]:
        kind = dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(cls)
        _check_name(name, kind)
        if counter is not None:
            _check_counter(name, kind, counter)
        kind.name, kind.severity, kind.counter = name, severity, counter
        kind.on_span, kind.escalates = on_span, escalates
        _declared[name] = kind
        return kind

    return declare


def event_types() -> tuple[type[Event], ...]:
    """Return the kinds of events that have been declared, ours and the application's, in that order."""
    return tuple(_declared.values())


def _check_name(name: str, kind: type[Event]) -> None:
    """Raise TypeError or ValueError unless *kind* is an event class that may be called *name*."""
    if not issubclass(kind, Event):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be unchecked
        raise TypeError(f"@event_type({name!r}): give a subclass of Event, not {kind!r}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"@event_type({name!r}): give lowercase words joined by dots, such as 'retry.scheduled'")
    if name in _declared and not _is_same(_declared[name], kind):
        raise ValueError(f"@event_type({name!r}): {_declared[name].__qualname__} has that name already")


def _check_counter(name: str, kind: type[Event], counter: Counter) -> None:
    """Raise TypeError or ValueError unless *kind* has the labels of *counter*, whose name is no other counter's."""
    for label in counter.labels:
        if not hasattr(kind, label):
            raise TypeError(f"@event_type({name!r}): {kind.__qualname__} has no {label!r}, a label of {counter.name}")
    others = [other.counter for other in _declared.values() if not _is_same(other, kind)]
    if any(other is not None and other is not counter and other.name == counter.name for other in others):
        raise ValueError(f"@event_type({name!r}): another Counter is named {counter.name!r}; let both events share one")


def _is_same(one: type[Event], other: type[Event]) -> bool:
    # A notebook's cell that is run again defines its class again.
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)


# -- retries ----------------------------------------------------------------------------------------------------------


@event_type(
    "attempt.failed",
    Severity.INFO,
    counter=Counter("resilience.attempt.failures", "Attempts that failed below a retry.", ("target", "category")),
    on_span=False,  # the event that follows from it is there
)
class AttemptFailed(Event):
    """One attempt failed; *attempt* counts from 1. The next event says what follows from it."""

    attempt: int
    category: ErrorCategory
    error: Exception = dataclasses.field(repr=False)


RETRIES = Counter("resilience.retries", "Retries that were scheduled.", ("target", "category"))


@event_type(
    "retry.scheduled",
    Severity.WARNING,
    counter=RETRIES,
    escalates=False,  # the failed attempt before it has been logged at that level
)
class RetryScheduled(Event):
    """The retry makes the call again after *wait* seconds; *attempt* is the one that failed.

    *error* is None where the retry rejected a result.
    """

    attempt: int
    category: ErrorCategory
    wait: float
    error: Exception | None = dataclasses.field(default=None, repr=False)


REVISIONS = Counter("resilience.revisions", "Calls made again with other arguments.", ("target", "category"))


@event_type("call.revised", Severity.INFO, counter=REVISIONS, escalates=False)
class CallRevised(Event):
    """The retry makes the call again at once with other arguments, the *revision*-th ones; *attempt* failed."""

    attempt: int
    category: ErrorCategory
    revision: int
    error: Exception = dataclasses.field(repr=False)


@event_type(
    "retry.exhausted",
    Severity.ERROR,
    counter=Counter(
        "resilience.retries.exhausted",
        "Calls given up after a retryable failure, by what ended the retries.",
        ("target", "category", "reason"),
    ),
)
class RetriesExhausted(Event):
    """The retry makes no further attempt at a retryable failure; *reason* is the `StopReason` as a word."""

    attempts: int
    category: ErrorCategory
    reason: str
    error: Exception | None = dataclasses.field(default=None, repr=False)


# -- circuits ---------------------------------------------------------------------------------------------------------

CIRCUIT_TRANSITIONS = Counter("resilience.circuit.transitions", "Changes of circuits to a state.", ("circuit", "state"))


class CircuitTransition(Event):
    """Base of the events of a circuit that has changed its state: *policy* is its name, `state` the new state."""

    __slots__ = ()

    state: ClassVar[str]

    @property
    def circuit(self) -> str:
        """The name of the circuit, as metrics call it."""
        return self.policy


@event_type("circuit.opened", Severity.WARNING, counter=CIRCUIT_TRANSITIONS)
class CircuitOpened(CircuitTransition):
    """The circuit rejects all calls for *retry_after* seconds.

    *failures* is what it counted when it opened, by weight, *category* that of the failure that opened it.
    """

    state: ClassVar[str] = "open"

    failures: int
    retry_after: float
    category: ErrorCategory | None = None


@event_type("circuit.half_opened", Severity.INFO, counter=CIRCUIT_TRANSITIONS)
class CircuitHalfOpened(CircuitTransition):
    """The open time is over: the circuit admits a probe."""

    state: ClassVar[str] = "half_open"


@event_type("circuit.closed", Severity.INFO, counter=CIRCUIT_TRANSITIONS)
class CircuitClosed(CircuitTransition):
    """The circuit admits all calls again."""

    state: ClassVar[str] = "closed"


@event_type("circuit.mode_changed", Severity.WARNING)
class CircuitModeChanged(Event):
    """An operator set the circuit named *policy* to *mode*: ``normal``, ``disabled``, ``shadow`` or ``isolated``."""

    mode: str


@event_type(
    "call.rejected",
    Severity.INFO,
    counter=Counter(
        "resilience.rejections",
        "Calls that were rejected, or with `shadow` would have been.",
        ("target", "policy", "shadow"),
    ),
)
class CallRejected(Event):
    """The call was not made; the circuit may admit another one in *retry_after* seconds.

    With *shadow* the call was made all the same, since the circuit only shadows.
    """

    retry_after: float
    shadow: bool = False


# -- time limits, fallbacks -------------------------------------------------------------------------------------------


@event_type(
    "call.timed_out",
    Severity.WARNING,
    counter=Counter("resilience.timeouts", "Calls that exceeded a time limit.", ("target",)),
)
class TimedOut(Event):
    """The call took longer than *limit* seconds; the caller waits no longer."""

    limit: float


@event_type(
    "threads.exhausted",
    Severity.ERROR,
    counter=Counter(
        "resilience.threads.exhausted", "Calls rejected because too many threads hang after a time limit.", ("target",)
    ),
)
class ThreadsExhausted(Event):
    """The call was not made: *running* threads still execute calls whose time limits have passed, as many as may.

    A thread cannot be stopped. The process rejects every sync call with a time limit until one of the threads comes
    back; if none does, only a restart helps.
    """

    running: int


@event_type(
    "fallback.used",
    Severity.WARNING,
    counter=Counter(
        "resilience.fallbacks", "Failed calls whose callers got a substitute, by the failure.", ("target", "category")
    ),
)
class FallbackUsed(Event):
    """The caller gets a substitute in place of *error*.

    It comes from *source*: "default", "factory", "stale", or the function of that name in a chain.
    """

    category: ErrorCategory
    error: Exception = dataclasses.field(repr=False)
    source: str = "default"


@event_type(
    "fallback.failed",
    Severity.ERROR,
    counter=Counter(
        "resilience.fallback.failures",
        "Calls whose substitute failed too, by its failure.",
        ("target", "category"),
    ),
)
class FallbackFailed(Event):
    """The fallback's *source* failed as well: the caller gets its *error*."""

    category: ErrorCategory
    error: Exception = dataclasses.field(repr=False)
    source: str = "default"
