"""What policies tell: frozen events.

An event is built only when somebody listens. It never holds a call's arguments or its result, and its `repr`
never shows an error's message: both may carry secrets.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

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
    "Event",
    "FallbackFailed",
    "FallbackUsed",
    "RetriesExhausted",
    "RetryScheduled",
    "Subscription",
    "TimedOut",
    "emit",
    "subscribe",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event says: *target* is the qualified name of what was called, *policy* who tells."""

    name: ClassVar[str] = "event"
    severity: ClassVar[Severity] = Severity.INFO

    target: str
    policy: str

    def fields(self) -> dict[str, object]:
        """Return what a log line or a JSON document may show: plain values under stable keys.

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
            elif value is not None and value != math.inf:  # JSON has no word for it
                shown[field.name] = value
        return shown


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed(Event):
    """One call failed; *attempt* counts from 1. What follows from it is told by the next event."""

    name: ClassVar[str] = "attempt.failed"
    severity: ClassVar[Severity] = Severity.INFO

    attempt: int
    category: ErrorCategory
    error: Exception = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled(Event):
    """The call is made again after *wait* seconds; *attempt* is the one that failed."""

    name: ClassVar[str] = "retry.scheduled"
    severity: ClassVar[Severity] = Severity.WARNING

    attempt: int
    category: ErrorCategory
    wait: float
    error: Exception | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallRevised(Event):
    """The call is made again at once with other arguments, the *revision*-th ones; *attempt* is the one that failed."""

    name: ClassVar[str] = "call.revised"
    severity: ClassVar[Severity] = Severity.INFO

    attempt: int
    category: ErrorCategory
    revision: int
    error: Exception = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetriesExhausted(Event):
    """No further attempt although the failure was one to retry; *reason* says what ran out."""

    name: ClassVar[str] = "retry.exhausted"
    severity: ClassVar[Severity] = Severity.ERROR

    attempts: int
    category: ErrorCategory
    reason: str
    error: Exception | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CircuitOpened(Event):
    """The circuit named *policy* lets nobody through for *retry_after* seconds."""

    name: ClassVar[str] = "circuit.opened"
    severity: ClassVar[Severity] = Severity.WARNING

    failures: int
    retry_after: float
    category: ErrorCategory | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CircuitHalfOpened(Event):
    """The circuit named *policy* lets a probe through."""

    name: ClassVar[str] = "circuit.half_opened"
    severity: ClassVar[Severity] = Severity.INFO


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CircuitClosed(Event):
    """The circuit named *policy* lets everybody through again."""

    name: ClassVar[str] = "circuit.closed"
    severity: ClassVar[Severity] = Severity.INFO


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallRejected(Event):
    """The call was not made; worth another try in *retry_after* seconds.

    With *shadow* it was made all the same, since the circuit only shadows.
    """

    name: ClassVar[str] = "call.rejected"
    severity: ClassVar[Severity] = Severity.INFO

    retry_after: float
    shadow: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CircuitModeChanged(Event):
    """The circuit named *policy* was told to be ``normal``, ``disabled``, ``shadow`` or ``isolated``."""

    name: ClassVar[str] = "circuit.mode_changed"
    severity: ClassVar[Severity] = Severity.WARNING

    mode: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut(Event):
    """The call took longer than *limit* seconds and was given up."""

    name: ClassVar[str] = "call.timed_out"
    severity: ClassVar[Severity] = Severity.WARNING

    limit: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FallbackUsed(Event):
    """The caller gets a substitute for what *error* kept it from getting.

    It comes from *source*: "default", "factory", "stale", or the function of that name in a chain.
    """

    name: ClassVar[str] = "fallback.used"
    severity: ClassVar[Severity] = Severity.WARNING

    category: ErrorCategory
    error: Exception = dataclasses.field(repr=False)
    source: str = "default"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FallbackFailed(Event):
    """What was called in place of the call, *source*, has failed as well: the caller gets its *error*."""

    name: ClassVar[str] = "fallback.failed"
    severity: ClassVar[Severity] = Severity.ERROR

    category: ErrorCategory
    error: Exception = dataclasses.field(repr=False)
    source: str = "default"
