"""The states of a circuit, and who is told of them.

The state object is the generation: a circuit holds one object for its present state, and every transition
replaces it. A call records its result on what it was admitted by, so that a late result lands on an
object nobody looks at any more and can neither close nor reopen anything.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, Protocol

from resilience.policy.base import Admission, Call
from resilience.policy.trip import Rules
from resilience.policy.window import LastCalls, LastSeconds, Share

if TYPE_CHECKING:
    from resilience.category import ErrorCategory

__all__ = [
    "INNER",
    "CircuitMode",
    "CircuitState",
    "Closed",
    "HalfOpen",
    "Open",
    "Permit",
    "State",
    "Transition",
    "Watcher",
]


class CircuitState(enum.Enum):
    """The three states. The values are the names on the wire; pybreaker spells the last one ``half-open``."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitMode(enum.Enum):
    """Whether a circuit does what it is for."""

    NORMAL = "normal"
    DISABLED = "disabled"
    """Lets everybody through and records nothing."""
    SHADOW = "shadow"
    """Records, opens and closes, and tells of it, but rejects nobody."""
    ISOLATED = "isolated"
    """Lets nobody through until it is told otherwise."""


class Closed(Admission):
    """Everybody passes. *failures* weigh what failed in a row.

    After an outage a growing share passes between *since* and *ramped*.
    """

    __slots__ = ("last_calls", "last_seconds", "ramped", "seen", "since")
    kind = CircuitState.CLOSED
    name = "closed"  # as pybreaker spells the states
    last_error_type: None = None
    last_category: None = None
    openings: int = 0
    failures: int
    passed: bool
    passes: int

    def __init__(self, rules: Rules, *, quiet: bool, since: float | None = None) -> None:
        ramping = since is not None and rules.ramp_up_seconds > 0
        super().__init__(quiet and not ramping)
        #: `passes` when the last failure was counted: whether any success came in between.
        self.seen: int = 0
        self.since: float = since or 0.0
        #: When everybody passes again; None when everybody does.
        self.ramped: float | None = self.since + rules.ramp_up_seconds if ramping else None
        self.last_calls: LastCalls | None = LastCalls(rules.window) if rules.window is not None else None
        self.last_seconds: LastSeconds | None = LastSeconds(rules.period) if rules.period is not None else None

    @property
    def until(self) -> float:
        """When everybody passes."""
        return 0.0 if self.ramped is None else self.ramped

    @property
    def in_a_row(self) -> int:
        """What failed since the last success."""
        return 0 if self.passed or self.passes != self.seen else self.failures

    def fail(self, weight: int, now: float) -> None:
        """Record a failure that ends *now*."""
        if self.passed or self.passes != self.seen:
            self.passed = False
            self.failures = 0
        self.failures += weight
        if self.last_calls is None and self.last_seconds is None:
            return
        self.passes += 1
        self.seen = self.passes
        if self.last_calls is not None:
            self.last_calls.fail(self.passes, weight)
        if self.last_seconds is not None:
            bucket = self.last_seconds.at(now)
            bucket.calls += 1
            bucket.failed += weight

    def count(self, now: float, *, slow: bool) -> None:
        """Record a success that ends *now*."""
        self.passes += 1
        if slow and self.last_calls is not None:
            self.last_calls.slow(self.passes)
        if self.last_seconds is not None:
            bucket = self.last_seconds.at(now)
            bucket.calls += 1
            bucket.slow += slow

    def share(self, now: float) -> Share | None:
        """Return what the last calls came to; where there are both windows, the one of so many calls."""
        if self.last_calls is not None:
            return self.last_calls.share(self.passes)
        return None if self.last_seconds is None else self.last_seconds.share(now)

    def is_too_bad(self, rules: Rules, now: float) -> bool:
        """Whether of the last calls, or those of the last seconds, more went wrong than the rules bear."""
        return (self.last_calls is not None and rules.too_many(self.last_calls.share(self.passes))) or (
            self.last_seconds is not None and rules.too_many(self.last_seconds.share(now))
        )


class Open(Admission):
    """Rejects all calls until *until*, for the *openings*-th time in a row. Probes may be in flight, by *permits*.

    Of the last failure that counted it keeps the type and the category. Never the exception: it belongs to the call
    that failed, and would keep that call's frames and their local variables alive for as long as the circuit is open.
    """

    __slots__ = ("last_category", "last_error_type", "opened_at", "openings", "permits", "until")
    kind = CircuitState.OPEN
    name = "open"

    def __init__(
        self,
        failures: int,
        last_error_type: str | None,
        last_category: ErrorCategory | None,
        opened_at: float,
        until: float,
        openings: int,
        permits: set[Permit] | None = None,
    ) -> None:
        super().__init__(quiet=False, failures=failures)
        self.last_error_type: str | None = last_error_type
        self.last_category: ErrorCategory | None = last_category
        self.opened_at: float = opened_at
        self.until: float = until
        self.openings: int = openings
        self.permits: set[Permit] = set() if permits is None else permits

    @property
    def in_a_row(self) -> int:
        """What failed before it opened."""
        return self.failures


class HalfOpen(Admission):
    """A few at a time pass, as probes, each by a `Permit`. Some may still be out from the last time it was so."""

    __slots__ = ("last_category", "last_error_type", "openings", "permits", "successes")
    kind = CircuitState.HALF_OPEN
    name = "half-open"

    def __init__(
        self,
        failures: int,
        last_error_type: str | None,
        last_category: ErrorCategory | None,
        openings: int,
        permits: set[Permit] | None = None,
    ) -> None:
        super().__init__(quiet=False, failures=failures)
        self.last_error_type: str | None = last_error_type
        self.last_category: ErrorCategory | None = last_category
        self.openings: int = openings
        self.permits: set[Permit] = set() if permits is None else permits
        self.successes: int = 0

    @property
    def until(self) -> float:
        """When the first permit expires."""
        # A copy: whoever is rejected asks without the lock, and probes come and go meanwhile.
        return min((permit.until for permit in self.permits.copy()), default=0.0)

    @property
    def in_a_row(self) -> int:
        """What failed before it opened."""
        return self.failures


class Permit:
    """What lets one probe through: a lease *until* then, so that a probe that is lost cannot keep it.

    It is good for a verdict on the state it was given *by*. It counts as out in the next half-open one, too.
    """

    __slots__ = ("by", "given", "until")

    def __init__(self, by: HalfOpen, given: float, until: float) -> None:
        self.by: HalfOpen = by
        self.given: float = given
        self.until: float = until

    def is_out(self, now: float) -> bool:
        """Whether the lease is not over; one that was given by another clock is."""
        return self.given <= now < self.until


INNER: Final = Admission(quiet=True)
"""What a call is admitted by that belongs to another call through the same circuit: it passes and records nothing."""

State = Closed | Open | HalfOpen
Transition = tuple[State, State]


class Watcher(Protocol):
    """Somebody who is told everything: pybreaker's listeners and storages, adapted. *blocking* if it does I/O."""

    blocking: bool

    def hook(self, what: str) -> object:
        """Return what one of the methods below is the adapter of: the one to name when it raises."""

    def before_call(self, call: Call) -> None:
        """A call is about to be admitted or rejected."""

    def admitted(self, call: Call) -> object:
        """The call is about to be made."""

    def failed(self, error: Exception | None, weight: int, counted: bool) -> object:
        """A call failed, or its result is a failure; *counted* unless it came too late for the present state."""

    def succeeded(self, counted: bool) -> object:
        """A call succeeded; *counted* where the state that let it in is still the present one, or this closed it."""

    def changed(self, old: State, new: State) -> object:
        """The circuit changed its state."""
