"""The states of a circuit breaker: closed, open and half-open, and the permits of its probes.

The state object is the generation: a circuit holds one object for its present state, and every transition
replaces it. A call records its outcome on the state or the permit that admitted it, so that a late outcome
lands on an object that is no longer in use and can neither close nor reopen the circuit.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, Protocol

from resilience._runtime.protocol import Admission, Call
from resilience.policies.circuit_breaker_config import Rules
from resilience.policies.sliding_window import CountWindow, TimeWindow, WindowSnapshot

if TYPE_CHECKING:
    from resilience.category import ErrorCategory

__all__ = [
    "INNER",
    "CircuitMode",
    "CircuitObserver",
    "CircuitState",
    "Closed",
    "HalfOpen",
    "Open",
    "ProbePermit",
    "State",
    "Transition",
]


class CircuitState(enum.Enum):
    """The three states. The values are the names on the wire; pybreaker spells the last one ``half-open``."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitMode(enum.Enum):
    """Whether a circuit records outcomes, and whether it rejects calls."""

    NORMAL = "normal"
    DISABLED = "disabled"
    """Admits every call and records nothing."""
    SHADOW = "shadow"
    """Records outcomes, opens and closes, and notifies of it, but rejects no call."""
    ISOLATED = "isolated"
    """Rejects every call until the mode is changed."""


class Closed(Admission):
    """CLOSED admits every call. *failures* is the weight of the failures in a row.

    After an outage it ramps up: it admits a growing share of the calls between *since* and *ramped*.
    """

    __slots__ = ("calls_at_last_failure", "count_window", "ramped", "since", "time_window")
    kind = CircuitState.CLOSED
    name = "closed"  # as pybreaker spells the states
    last_error_type: None = None
    last_category: None = None
    consecutive_opens: int = 0
    failures: int
    success_seen: bool
    call_count: int

    def __init__(self, rules: Rules, *, fast_path: bool, since: float | None = None) -> None:
        ramping = since is not None and rules.ramp_up_seconds > 0
        super().__init__(fast_path and not ramping)
        #: The `call_count` after the last failure: another one now means that a call has succeeded since.
        self.calls_at_last_failure: int = 0
        self.since: float = since or 0.0
        #: When the ramp ends; None once it has.
        self.ramped: float | None = self.since + rules.ramp_up_seconds if ramping else None
        self.count_window: CountWindow | None = CountWindow(rules.window) if rules.window is not None else None
        self.time_window: TimeWindow | None = TimeWindow(rules.period) if rules.period is not None else None

    @property
    def until(self) -> float:
        """When it admits every call."""
        return 0.0 if self.ramped is None else self.ramped

    @property
    def consecutive_failures(self) -> int:
        """The weight of the failures since the last success."""
        return 0 if self.success_seen or self.call_count != self.calls_at_last_failure else self.failures

    def fail(self, weight: int, now: float) -> None:
        """Record a failure that ends *now*."""
        if self.success_seen or self.call_count != self.calls_at_last_failure:
            self.success_seen = False
            self.failures = 0
        self.failures += weight
        if self.count_window is None and self.time_window is None:
            return
        self.call_count += 1
        self.calls_at_last_failure = self.call_count
        if self.count_window is not None:
            self.count_window.fail(self.call_count, weight)
        if self.time_window is not None:
            bucket = self.time_window.bucket_for(now)
            bucket.calls += 1
            bucket.failed += weight

    def count(self, now: float, *, slow: bool) -> None:
        """Record a success that ends *now*."""
        self.call_count += 1
        if slow and self.count_window is not None:
            self.count_window.slow(self.call_count)
        if self.time_window is not None:
            bucket = self.time_window.bucket_for(now)
            bucket.calls += 1
            bucket.slow += slow

    def window_snapshot(self, now: float) -> WindowSnapshot | None:
        """Return the window's outcomes: of the count window where there are both."""
        if self.count_window is not None:
            return self.count_window.snapshot(self.call_count)
        return None if self.time_window is None else self.time_window.snapshot(now)

    def threshold_exceeded(self, rules: Rules, now: float) -> bool:
        """Whether the failure rate or the rate of slow calls of a window opens the circuit."""
        return (self.count_window is not None and rules.rate_exceeded(self.count_window.snapshot(self.call_count))) or (
            self.time_window is not None and rules.rate_exceeded(self.time_window.snapshot(now))
        )


class Open(Admission):
    """OPEN rejects every call until *until*. It is the *consecutive_opens*-th time since the circuit was closed.

    Probes of the half-open state before it may still be in flight, by *permits*.

    Of the last failure that counted it keeps the type and the category. Never the exception: it belongs to the call
    that failed, and would keep that call's frames and their local variables alive for as long as the circuit is open.
    """

    __slots__ = ("consecutive_opens", "last_category", "last_error_type", "opened_at", "permits", "until")
    kind = CircuitState.OPEN
    name = "open"

    def __init__(
        self,
        failures: int,
        last_error_type: str | None,
        last_category: ErrorCategory | None,
        opened_at: float,
        until: float,
        consecutive_opens: int,
        permits: set[ProbePermit] | None = None,
    ) -> None:
        super().__init__(fast_path=False, failures=failures)
        self.last_error_type: str | None = last_error_type
        self.last_category: ErrorCategory | None = last_category
        self.opened_at: float = opened_at
        self.until: float = until
        self.consecutive_opens: int = consecutive_opens
        self.permits: set[ProbePermit] = set() if permits is None else permits

    @property
    def consecutive_failures(self) -> int:
        """The weight of the failures that opened the circuit."""
        return self.failures


class HalfOpen(Admission):
    """HALF_OPEN admits a few calls at a time as probes, each by a `ProbePermit`.

    Probes of an earlier half-open state may still be in flight: their permits count until their lease ends.
    """

    __slots__ = ("consecutive_opens", "last_category", "last_error_type", "permits", "successes")
    kind = CircuitState.HALF_OPEN
    name = "half-open"

    def __init__(
        self,
        failures: int,
        last_error_type: str | None,
        last_category: ErrorCategory | None,
        consecutive_opens: int,
        permits: set[ProbePermit] | None = None,
    ) -> None:
        super().__init__(fast_path=False, failures=failures)
        self.last_error_type: str | None = last_error_type
        self.last_category: ErrorCategory | None = last_category
        self.consecutive_opens: int = consecutive_opens
        self.permits: set[ProbePermit] = set() if permits is None else permits
        self.successes: int = 0

    @property
    def until(self) -> float:
        """When the first permit expires."""
        # A copy: a rejected call reads it without the lock, while probes begin and end.
        return min((permit.until for permit in self.permits.copy()), default=0.0)

    @property
    def consecutive_failures(self) -> int:
        """The weight of the failures that opened the circuit."""
        return self.failures


class ProbePermit:
    """The permit of one probe: a lease that ends at *until*, so that a probe that is lost cannot keep it.

    The probe's outcome decides about *state*, the half-open state that gave the permit, and about no later one.
    """

    __slots__ = ("acquired_at", "state", "until")

    def __init__(self, state: HalfOpen, acquired_at: float, until: float) -> None:
        self.state: HalfOpen = state
        self.acquired_at: float = acquired_at
        self.until: float = until

    def is_active(self, now: float) -> bool:
        """Whether the lease has not ended. A permit acquired by another clock is not active."""
        return self.acquired_at <= now < self.until


INNER: Final = Admission(fast_path=True)
"""Admits a call that belongs to another call through the same circuit: its outcome is not recorded."""

State = Closed | Open | HalfOpen
Transition = tuple[State, State]


class CircuitObserver(Protocol):
    """Notified of every call and transition: the adapters of pybreaker's listeners and storages.

    A *blocking* one does I/O.
    """

    blocking: bool

    def hook(self, what: str) -> object:
        """Return the function that the method *what* adapts: the one to name when it raises."""

    def before_call(self, call: Call) -> None:
        """Called before a call is admitted or rejected."""

    def admitted(self, call: Call) -> object:
        """Called once a call is admitted, before it is made."""

    def failed(self, error: Exception | None, weight: int, counted: bool) -> object:
        """Called when a call failed, or returned a failure; *counted* unless what admitted it is no longer in use."""

    def succeeded(self, counted: bool) -> object:
        """Called when a call succeeded; *counted* if what admitted it is still in use, or the success closed it."""

    def changed(self, old: State, new: State) -> object:
        """Called when the circuit has changed its state."""
