"""The states of a circuit breaker, and the permits of its probes.

* `Closed` admits every call, and counts failures in a row. `ClosedWithRates` counts them in windows as well.
* `Open` rejects every call until its time is over. The next call then makes the circuit half-open.
* `HalfOpen` admits a limited number of calls at a time as probes, each by a `ProbePermit`. Enough successes close the
  circuit, too many failures open it again.

The state object is the generation: a circuit holds one object for its present state, and every transition replaces it.
A call records its outcome on the state or the permit that admitted it. A late outcome lands on an object that is no
longer in use, and can neither close nor reopen the circuit.

The classes have the same methods, which `CircuitStateMachine` calls on the present state: `admit` answers a call,
`take_back` says whether the outcome of a probe still counts, `record_failure` and `record_answer` count an outcome and
say whether that ends the state. States change only themselves. They take no lock, make no transition and notify no
observer.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import ClassVar, Final, Protocol

from resilience._runtime.protocol import Admission, Call
from resilience.categories import ErrorCategory
from resilience.clock import Clock
from resilience.policies._circuit_breaker_config import CircuitBreakerConfig, TripRates
from resilience.policies._sliding_window import Window, WindowSnapshot

__all__ = [
    "BY_RUNNER",
    "INNER",
    "CircuitMode",
    "CircuitObserver",
    "CircuitState",
    "Closed",
    "ClosedWithRates",
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
    """The mode of a circuit, set by hand: NORMAL, or one in which outcomes or rejections are switched off."""

    NORMAL = "normal"
    DISABLED = "disabled"
    """Admits every call and records nothing."""
    SHADOW = "shadow"
    """Records outcomes, opens and closes, and notifies of it, but rejects no call."""
    ISOLATED = "isolated"
    """Rejects every call until the mode is changed."""


class Closed(Admission):
    """CLOSED admits every call, and counts failures in a row. *failures* is their weight.

    After an outage it ramps up: from *since* to *until* it admits a growing share of the calls, at random.

    A success needs no lock: it sets `success_seen`, by which the next failure knows that it is the first in a row.
    """

    __slots__ = ("observed", "ramp_up", "selective", "since")
    kind: ClassVar[CircuitState] = CircuitState.CLOSED
    name: ClassVar[str] = "closed"  # as pybreaker spells the states
    last_error_type: ClassVar[None] = None
    last_category: ClassVar[None] = None
    consecutive_opens: ClassVar[int] = 0
    probing: ClassVar[bool] = False
    successes: ClassVar[int] = 0  # of probes
    fast_path: bool
    quiet: bool
    failures: int
    success_seen: bool

    def __init__(self, *, observed: bool, since: float = 0.0, ramp_up: float = 0.0) -> None:
        #: Whether it admits a share of the calls, at random, and not all: while it ramps up, or sheds.
        self.selective: bool = ramp_up > 0
        super().__init__(fast_path=not observed and not self.selective)
        #: Whether observers are notified of each call, which then takes the slow path.
        self.observed: bool = observed
        self._set_quiet()
        self.since: float = since
        self.ramp_up: float = ramp_up

    @property
    def until(self) -> float:
        """When the ramp ends."""
        return self.since + self.ramp_up

    @property
    def consecutive_failures(self) -> int:
        """The weight of the failures since the last success."""
        if self.success_seen:
            return 0
        return self.failures

    @property
    def permits(self) -> set[ProbePermit]:
        """Of no probe: once the circuit has closed, probes in flight are calls like all others."""
        return set()

    def status(self, clock: Clock) -> str:
        """Return this state in words, for the note of a failed call."""
        failures = self.consecutive_failures
        if failures:
            return f"closed, {failures} failures in a row"
        return "closed"

    def next_probe_in(self, now: float) -> None:
        """Return None: a closed circuit does not probe."""

    def probes_in_flight(self, now: float) -> int:
        """Return 0: a closed circuit does not probe."""
        return 0

    def set_observed(self, observed: bool) -> None:
        """Set whether each call takes the slow path, where observers are notified."""
        self.observed = observed
        self.fast_path = not observed and not self.selective
        self._set_quiet()

    def half_opens(self, now: float) -> bool:
        """Whether a call *now* makes the circuit half-open: never."""
        return False

    def admit(self, now: float, clock: Clock, config: CircuitBreakerConfig) -> Closed | None:
        """Return this state where it admits a call *now*; None while it ramps up and the call is not in the share."""
        if not self.since <= now < self.until:  # also where the clock was set back
            self.selective = False
            self.set_observed(self.observed)
        elif self.selective and clock.random() * self.ramp_up >= now - self.since:
            return None
        return self

    def would_admit(self, now: float, config: CircuitBreakerConfig) -> bool:
        """Return True, also while it admits a share of the calls: whether it is this one is left to chance."""
        return True

    def take_back(self, permit: object) -> bool:
        """Return False: no probe decides about a closed circuit."""
        return False

    def mark_success(self) -> None:
        """Note a success, without the lock, as the wrapper of a guarded function does."""
        self.success_seen = True

    def start_anew(self) -> None:
        """Forget the failures in a row, as a success comes after them."""
        self.success_seen = True
        self.failures = 0
        self._set_quiet()

    def _set_quiet(self) -> None:
        """Set whether a success would change nothing here."""
        self.quiet = self.fast_path and not self.failures

    def record_failure(self, weight: int, clock: Clock, config: CircuitBreakerConfig) -> bool:
        """Count a failure; return whether the circuit opens by failures in a row."""
        self.quiet = False
        if self.success_seen:
            self.success_seen = False
            self.failures = 0
        self.failures += weight
        return self.failures >= config.trip_failures

    def record_success(self, now: float, config: CircuitBreakerConfig, *, slow: bool) -> bool:
        """Count a success that ends *now*; return whether the circuit opens, as it was slow: never without rates."""
        self.mark_success()
        return False

    def record_slow(self, now: float) -> bool:
        """Count a call that was cut off *now*, after it had become slow; return whether the circuit opens by that."""
        return False

    def record_answer(self, config: CircuitBreakerConfig) -> bool:
        """Return False: an error by which the dependency shows that it works changes nothing here."""
        return False

    def window_snapshot(self, now: float) -> WindowSnapshot | None:
        """Return the outcomes in the window; None where the circuit has no rates, and so no window."""
        return None


class ClosedWithRates(Closed):
    """CLOSED, of a circuit that opens by the share of failed or slow calls as well as by failures in a row.

    Calls are numbered by `call_count`. A success needs no lock here either where its time does not matter: it adds 1 to
    `call_count`, by which the next failure knows that calls have succeeded since the last.
    """

    __slots__ = ("calls_at_last_failure", "rates", "windows")
    success_seen: bool
    call_count: int

    def __init__(
        self, rates: TripRates, windows: Sequence[Window], *, observed: bool, since: float = 0.0, ramp_up: float = 0.0
    ) -> None:
        super().__init__(observed=observed, since=since, ramp_up=ramp_up)
        self.rates: TripRates = rates
        self.windows: Sequence[Window] = windows
        #: The `call_count` after the last failure.
        self.calls_at_last_failure: int = 0

    @property
    def consecutive_failures(self) -> int:
        """The weight of the failures since the last success."""
        if self.call_count != self.calls_at_last_failure:
            return 0
        return self.failures

    def _set_quiet(self) -> None:
        """Set that a success changes something here: it counts in the window."""
        self.quiet = False

    def mark_success(self) -> None:
        """Note a success whose time does not matter, without the lock."""
        self.call_count += 1

    def record_failure(self, weight: int, clock: Clock, config: CircuitBreakerConfig) -> bool:
        """Count a failure; return whether the circuit opens, by failures in a row or by a rate."""
        now = clock.now()
        self.success_seen = self.call_count != self.calls_at_last_failure
        self.call_count += 1
        self.calls_at_last_failure = self.call_count
        too_many_in_a_row = super().record_failure(weight, clock, config)
        for window in self.windows:
            window.record(self.call_count, now, weight=weight)
        return too_many_in_a_row or self._rate_exceeded(now)

    def record_success(self, now: float, config: CircuitBreakerConfig, *, slow: bool) -> bool:
        """Count a success that ends *now*; return whether it was slow, and the circuit opens by that."""
        self.call_count += 1
        for window in self.windows:
            window.record(self.call_count, now, slow=slow)
        return slow and self._rate_exceeded(now)

    def record_slow(self, now: float) -> bool:
        """Count a slow call that was cut off *now*: no success, so failures in a row stay; return whether it opens."""
        in_a_row = self.call_count == self.calls_at_last_failure
        self.call_count += 1
        self.calls_at_last_failure += in_a_row
        for window in self.windows:
            window.record(self.call_count, now, slow=True)
        return self._rate_exceeded(now)

    def _rate_exceeded(self, now: float) -> bool:
        return any(self.rates.exceeded_by(window.snapshot(self.call_count, now)) for window in self.windows)

    def window_snapshot(self, now: float) -> WindowSnapshot:
        """Return the outcomes in the window: in that of calls where there are both."""
        return self.windows[0].snapshot(self.call_count, now)


class _NotClosed(Admission):
    """Base of OPEN and HALF_OPEN: the failures that opened the circuit, and the permits of probes.

    Of the last failure that counted it keeps the type and the category. Never the exception: it belongs to the call
    that failed, and would keep that call's frames and their local variables alive for as long as the circuit is open.
    """

    __slots__ = ("consecutive_opens", "last_category", "last_error_type", "permits")
    selective: ClassVar[bool] = False

    def __init__(
        self,
        failures: int,
        last_error_type: str | None,
        last_category: ErrorCategory | None,
        consecutive_opens: int,
        permits: set[ProbePermit],
    ) -> None:
        super().__init__(fast_path=False, failures=failures)
        self.last_error_type: str | None = last_error_type
        self.last_category: ErrorCategory | None = last_category
        self.consecutive_opens: int = consecutive_opens
        #: Of probes in flight, also those of earlier half-open states.
        self.permits: set[ProbePermit] = permits

    @property
    def consecutive_failures(self) -> int:
        """The weight of the failures that opened the circuit."""
        return self.failures

    def set_observed(self, observed: bool) -> None:
        """Do nothing: every call takes the slow path, observed or not."""

    def window_snapshot(self, now: float) -> None:
        """Return None: only a closed circuit has windows."""


class Open(_NotClosed):
    """OPEN rejects every call until *until*. It is the *consecutive_opens*-th time since the circuit was closed.

    Probes of the half-open state before it may still be in flight. They decide nothing any more, but keep their permits
    for the next half-open state, so that a dependency that hangs is not sent more and more of them.
    """

    __slots__ = ("opened_at", "until")
    kind: ClassVar[CircuitState] = CircuitState.OPEN
    name: ClassVar[str] = "open"
    probing: ClassVar[bool] = False
    successes: ClassVar[int] = 0  # of probes

    def __init__(
        self,
        failures: int,
        last_error_type: str | None,
        last_category: ErrorCategory | None,
        opened_at: float,
        until: float,
        consecutive_opens: int,
        permits: set[ProbePermit],
    ) -> None:
        super().__init__(failures, last_error_type, last_category, consecutive_opens, permits)
        self.opened_at: float = opened_at
        self.until: float = until

    def status(self, clock: Clock) -> str:
        """Return this state in words, for the note of a failed call."""
        left = self.next_probe_in(clock.now())
        if left is None:
            return "open, until it is reset"
        return f"open, next probe in {left:.3g} s"

    def next_probe_in(self, now: float) -> float | None:
        """Return the seconds until a call is admitted as a probe; None where the circuit is open until it is reset."""
        if self.until == math.inf:
            return None
        return max(self.until - now, 0.0)

    def probes_in_flight(self, now: float) -> int:
        """Return 0: probes that are still in flight are none of this state."""
        return 0

    def half_opens(self, now: float) -> bool:
        """Whether its time is over. Where the clock was set back, or is another one, its time starts again."""
        if now < self.opened_at:
            self.opened_at, self.until = now, now + (self.until - self.opened_at)
        return now >= self.until

    def admit(self, now: float, clock: Clock, config: CircuitBreakerConfig) -> None:
        """Admit no call."""

    def would_admit(self, now: float, config: CircuitBreakerConfig) -> bool:
        """Whether a call *now* would be the first probe: its time is over, and a permit is free."""
        return self.is_over(now) and _active(self.permits, now) < config.probes

    def is_over(self, now: float) -> bool:
        """Whether its time is over. Not by a clock that was set back, by which it starts again."""
        return now >= self.until and now >= self.opened_at

    def take_back(self, permit: object) -> bool:
        """Take a probe's permit back. Its outcome decides nothing: the circuit has opened since. Always False."""
        self.permits.discard(permit)
        return False

    def record_failure(self, weight: int, clock: Clock, config: CircuitBreakerConfig) -> bool:
        """Count nothing: no call that OPEN has admitted can fail."""
        return False

    def record_answer(self, config: CircuitBreakerConfig) -> bool:
        """Count nothing: no call that OPEN has admitted can succeed."""
        return False


class HalfOpen(_NotClosed):
    """HALF_OPEN admits a few calls at a time as probes, each by a `ProbePermit`, and counts how they end.

    Probes of an earlier half-open state may still be in flight: their permits count until their lease ends.
    """

    __slots__ = ("failed_probes", "successes")
    kind: ClassVar[CircuitState] = CircuitState.HALF_OPEN
    name: ClassVar[str] = "half-open"
    probing: ClassVar[bool] = True
    failures: int

    def __init__(
        self,
        failures: int,
        last_error_type: str | None,
        last_category: ErrorCategory | None,
        consecutive_opens: int,
        permits: set[ProbePermit],
    ) -> None:
        super().__init__(failures, last_error_type, last_category, consecutive_opens, permits)
        self.successes: int = 0
        self.failed_probes: int = 0

    @property
    def until(self) -> float:
        """When the first permit expires."""
        # A copy: a rejected call reads it without the lock, while probes begin and end.
        return min((permit.until for permit in self.permits.copy()), default=0.0)

    def status(self, clock: Clock) -> str:
        """Return this state in words, for the note of a failed call."""
        return self.name

    def next_probe_in(self, now: float) -> None:
        """Return None: the circuit probes already."""

    def probes_in_flight(self, now: float) -> int:
        """Return the number of probes whose lease has not ended, those of earlier half-open states among them."""
        return _active(self.permits, now)

    def half_opens(self, now: float) -> bool:
        """Whether a call *now* makes the circuit half-open: it is already."""
        return False

    def admit(self, now: float, clock: Clock, config: CircuitBreakerConfig) -> ProbePermit | None:
        """Return a permit for a probe; None where as many are in flight as there may be."""
        lost = [permit for permit in self.permits.copy() if not permit.is_active(now)]
        self.permits.difference_update(lost)
        permit = ProbePermit(self, now, now + config.lease_seconds)  # first: other calls may be admitted meanwhile
        if len(self.permits) >= config.probes:
            return None
        self.permits.add(permit)
        return permit

    def would_admit(self, now: float, config: CircuitBreakerConfig) -> bool:
        """Whether a call *now* would be a probe."""
        return _active(self.permits, now) < config.probes

    def take_back(self, permit: object) -> bool:
        """Take a probe's permit back; return whether its outcome decides: its lease holds, and it is of this state."""
        if permit not in self.permits:
            return False
        probe: ProbePermit = permit  # pyright: ignore[reportAssignmentType]  # it is in the set
        self.permits.discard(probe)
        return probe.state is self

    def record_failure(self, weight: int, clock: Clock, config: CircuitBreakerConfig) -> bool:
        """Count a probe that failed; return whether the circuit opens again."""
        self.failures += weight
        self.failed_probes += weight > 0
        return config.reopens_after(self.failed_probes)

    def record_answer(self, config: CircuitBreakerConfig) -> bool:
        """Count a probe that succeeded, or that the dependency answered; return whether the circuit closes."""
        self.successes += 1
        return config.closes_after(self.successes)


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


def _active(permits: set[ProbePermit], now: float) -> int:
    """Return the number of permits whose lease has not ended."""
    return sum(permit.is_active(now) for permit in permits.copy())  # a copy: it is read without the lock, too


BY_RUNNER: Final = Admission(fast_path=False)
"""Sends a call that the fast path would take to `run`, where the circuit takes note of it."""

INNER: Final = Admission(fast_path=True)
"""Admits a call that belongs to another call through the same circuit: its outcome is not recorded."""

State = Closed | Open | HalfOpen
Transition = tuple[State, State]
"""The state before, and the one after."""


class CircuitObserver(Protocol):
    """Notified of every call and transition: the adapters of pybreaker's listeners and storages.

    Observers are notified outside of the circuit's lock. An error that one raises is logged once and changes no
    outcome. A *blocking* observer does I/O, and is called in a thread of its own where the guarded call is async.
    """

    blocking: bool

    def hook(self, what: str) -> object:
        """Return the function that the method *what* adapts: the one to name when it raises."""

    def before_call(self, call: Call) -> None:
        """Called before a call is admitted or rejected."""

    def admitted(self, call: Call) -> object:
        """Called once a call is admitted, before it is made."""

    def failed(self, error: Exception | None, weight: int, counted: bool) -> object:
        """Called when a call failed, or returned a failure; *counted* unless the state has changed since."""

    def succeeded(self, counted: bool) -> object:
        """Called when a call succeeded; *counted* unless the state has changed since, other than by this call."""

    def changed(self, old: State, new: State) -> object:
        """Called when the circuit has changed its state."""

    def restarted(self) -> object:
        """Called when a circuit that was closed starts again by hand, with nothing recorded."""
