"""I/O-free circuit breaker state machine.

Owns the current state, the window of outcomes, the permits of probes and every transition; knows nothing of sync or
async, and notifies no one.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from resilience._runtime.protocol import SuccessReporting
from resilience.clock import Clock, current_clock
from resilience.policies.circuit_breaker_config import SUCCESS, Rules
from resilience.policies.circuit_states import (
    CircuitMode,
    CircuitObserver,
    CircuitState,
    Closed,
    HalfOpen,
    Open,
    ProbePermit,
    State,
    Transition,
)
from resilience.policies.sliding_window import WindowSnapshot

if TYPE_CHECKING:
    from resilience.category import ErrorCategory

__all__ = ["CircuitStateMachine"]

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_MARK, _COUNT, _CALL = SuccessReporting.MARK, SuccessReporting.COUNT, SuccessReporting.CALL
_DISABLED = CircuitMode.DISABLED


class CircuitStateMachine:
    """The state that all calls through one circuit share.

    A call acquires admission by `acquire`, and ends in exactly one of `record_success`, `record` and `release`. No lock
    is held while a call runs, and a call that succeeds through a closed circuit takes none. While the lock is held, a
    destructor or a signal handler may run in the same thread, begin calls and end others: a transition therefore
    compares the state it replaces with the one it has seen.
    """

    __slots__ = ("_lock", "category", "mode", "observers", "rules", "since", "state", "telling")

    def __init__(self, rules: Rules) -> None:
        self.rules: Rules = rules
        self.telling: SuccessReporting = _telling(rules)
        self.mode: CircuitMode = CircuitMode.NORMAL
        self.observers: Sequence[CircuitObserver] = ()
        #: The category of the last failure that counted.
        self.category: ErrorCategory | None = None
        #: When the circuit came to its state: seconds since 1970.
        self.since: float = current_clock().wall()
        self._lock = threading.RLock()  # a stream that the collector closes, or a signal handler, may take it again
        self.state: State = Closed(rules, fast_path=True)

    # -- admission -----------------------------------------------------------------------------------------------

    def acquire(self, clock: Clock) -> tuple[Closed | ProbePermit | None, Transition | None]:
        """Admit a call or, by None, reject it: return what admits it, and the transition to half-open it has caused."""
        state = self.state
        if isinstance(state, Closed) and state.ramped is None:
            return state, None
        with self._lock:
            # Under the lock: a thread that looked at the clock before another one did, and came in after it, would
            # take it for a clock that was set back.
            now = clock.now()
            state = self.state
            transition: Transition | None = None
            if isinstance(state, Closed):
                return state if self._admitted_by_ramp_up(state, now, clock) else None, None
            if isinstance(state, Open):
                if now < state.opened_at:  # another clock, or one that was set back: the time starts again
                    state.opened_at, state.until = now, now + (state.until - state.opened_at)
                if now < state.until:
                    return None, None
                probed = HalfOpen(
                    state.failures, state.last_error_type, state.last_category, state.consecutive_opens, state.permits
                )
                transition = self._transition(probed, clock, state)
                if transition is None:
                    return self.acquire(clock)
                state = probed
            return self._acquire_probe(state, now), transition

    def _admitted_by_ramp_up(self, state: Closed, now: float, clock: Clock) -> bool:
        """Whether a call belongs to the share that is admitted while the circuit ramps up; ends the ramp in time."""
        if state.ramped is None or not state.since <= now < state.ramped:
            state.ramped = None
            state.fast_path = not self.observers
            return True
        return clock.random() * (state.ramped - state.since) < now - state.since

    def _acquire_probe(self, state: HalfOpen, now: float) -> ProbePermit | None:
        for permit in state.permits.copy():
            if not permit.is_active(now):  # the probe is lost
                state.permits.discard(permit)
        permit = ProbePermit(state, now, now + self.rules.lease_seconds)  # first: other calls may be admitted meanwhile
        if len(state.permits) >= self.rules.probes:
            return None
        state.permits.add(permit)
        return permit

    def is_leased(self, permit: ProbePermit, clock: Clock) -> bool:
        """Whether *permit* belongs to a probe in flight of the present half-open state whose lease has not ended."""
        state = self.state
        return permit.state is state and permit in permit.state.permits and permit.is_active(clock.now())

    def release(self, permit: ProbePermit) -> None:
        """Give back a probe's permit without an outcome: its call was cancelled."""
        with self._lock:
            if not isinstance(self.state, Closed):
                self.state.permits.discard(permit)

    # -- outcomes: each transition replaces the state object, under the lock -------------------------------------

    def record_success(self, state: Closed, began: float, clock: Clock) -> Transition | None:
        """Record a success on the closed state that admitted the call."""
        if self.telling is _MARK:
            state.success_seen = True
            return None
        if self.telling is _COUNT:
            state.call_count += 1
            return None
        with self._lock:
            now = clock.now()
            slow = self.rules.slow_seconds is not None and now - began >= self.rules.slow_seconds
            state.count(now, slow=slow)
            if slow and self.mode is not _DISABLED and state.threshold_exceeded(self.rules, now):
                return self._transition(self._opened(state, None, None, 0, clock), clock, state)
            return None

    def record(
        self,
        admitted: Any,
        weight: int,
        clock: Clock,
        category: ErrorCategory | None = None,
        error: Exception | None = None,
        open_for: float | None = None,
    ) -> Transition | None:
        """Record any other outcome of *weight* on the state, or the permit, that admitted the call.

        *open_for* opens the circuit at once, for so many seconds.
        """
        failed = weight if weight > 0 else 0  # noqa: FURB136  # max() is 1100 instructions more on CPython 3.11
        with self._lock:
            state = self.state
            if isinstance(state, Closed):
                if state is not admitted or self.mode is _DISABLED or not (failed or open_for is not None):
                    return None  # it is late, or decides nothing
                self.category = category
                rules = self.rules
                now = clock.now() if rules.uses_rates else 0.0
                state.fail(failed, now)
                threshold = rules.failure_threshold
                in_a_row = threshold is not None and state.failures >= threshold
                if open_for is not None or in_a_row or (rules.uses_rates and state.threshold_exceeded(rules, now)):
                    return self._transition(
                        self._opened(state, _type_name(error), category, state.failures, clock, open_for), clock, state
                    )
                return None
            if admitted not in state.permits:  # its lease has ended, or it is late
                return None
            state.permits.discard(admitted)
            probed: HalfOpen = admitted.state
            if probed is not state:  # the circuit has opened again since
                return None
            if failed or open_for is not None:
                self.category = category
                return self._transition(
                    self._opened(probed, _type_name(error), category, probed.failures + failed, clock, open_for),
                    clock,
                    probed,
                )
            if weight == SUCCESS:
                probed.successes += 1
                if probed.successes >= self.rules.success_threshold:
                    closed = Closed(self.rules, fast_path=not self.observers, since=clock.now())
                    return self._transition(closed, clock, probed)
            return None

    def _opened(
        self,
        state: State,
        last_error_type: str | None,
        last_category: ErrorCategory | None,
        failures: int,
        clock: Clock,
        open_for: float | None = None,
    ) -> Open:
        """Return the open state that follows *state*."""
        now = clock.now()
        consecutive_opens = state.consecutive_opens + 1
        wait = self.rules.open_seconds(consecutive_opens, clock.random()) if open_for is None else open_for
        permits = state.permits if isinstance(state, HalfOpen) else None
        return Open(failures, last_error_type, last_category, now, now + wait, consecutive_opens, permits)

    def _transition(
        self, state: State, clock: Clock, seen: State | None = None, mode: CircuitMode | None = None
    ) -> Transition | None:
        """Go to *state*, only if *seen*, where it is given, is still the present one; and to *mode*."""
        since = clock.wall()
        # From here on nothing is called: no destructor or signal handler can run in between.
        old = self.state
        if seen is not None and old is not seen:
            return None
        self.state, self.since = state, since
        if mode is not None:
            self.mode = mode
        return old, state

    # -- by hand -------------------------------------------------------------------------------------------------

    def transition_to(
        self,
        kind: CircuitState,
        clock: Clock,
        last: tuple[str, ErrorCategory] | None = None,
        failures: int | None = None,
    ) -> Transition | None:
        """Go to *kind* whatever the present state; None where it is there already, or the mode fixes the state.

        *last*, the type and the category of the last failure, and *failures* are what opens it, where calls through
        other circuits of a shared store failed as well.
        """
        with self._lock:
            state, since = self.state, self.since
            if self.mode in (CircuitMode.ISOLATED, _DISABLED):
                return None
            new: State
            if kind is CircuitState.CLOSED:
                new = Closed(self.rules, fast_path=not self.observers)
            elif state.kind is kind:
                return None
            elif kind is CircuitState.OPEN:
                error_type, category = last or (state.last_error_type, state.last_category)
                counted = state.consecutive_failures if failures is None else failures
                new = self._opened(state, error_type, category, counted, clock)
            else:
                new = HalfOpen(
                    state.consecutive_failures, state.last_error_type, state.last_category, state.consecutive_opens
                )
            transition = self._transition(new, clock, state)
            if transition is None:
                return self.transition_to(kind, clock, last, failures)
            if state.kind is not kind:
                return transition
            self.since = since  # no transition, but a new start: nothing recorded, and no ramp
            return None

    def change_mode(self, mode: CircuitMode, clock: Clock) -> Transition | None:
        """Go to *mode*. To isolate or disable the circuit, or to end that, discards what was recorded."""
        with self._lock:
            state: State
            if mode is CircuitMode.ISOLATED:
                state = Open(0, None, None, -math.inf, math.inf, 0)
            elif mode is _DISABLED:
                state = Closed(self.rules, fast_path=True)
            elif self.mode in (CircuitMode.NORMAL, CircuitMode.SHADOW):
                self.mode = mode
                return None
            else:
                state = Closed(self.rules, fast_path=not self.observers)
            return self._transition(state, clock, mode=mode)

    def set_observers(self, observers: Sequence[CircuitObserver]) -> None:
        """Replace the observers. With any, every call takes the slow path."""
        with self._lock:
            self.observers = tuple(observers)
            if isinstance(self.state, Closed):
                notifies = bool(self.observers) and self.mode is not _DISABLED
                self.state.fast_path = not notifies and self.state.ramped is None

    def window_snapshot(self, now: float) -> WindowSnapshot | None:
        """Return the window's outcomes while the circuit is closed and uses rates. Call it under the lock."""
        state = self.state
        if not self.rules.uses_rates or not isinstance(state, Closed):
            return None
        # A disabled circuit counts calls on the fast path all the same: they do not show.
        return WindowSnapshot(0, 0, 0) if self.mode is _DISABLED else state.window_snapshot(now)


def _type_name(error: Exception | None) -> str | None:
    return None if error is None else type(error).__name__


def _telling(rules: Rules) -> SuccessReporting:
    """Return what the fast path reports of a success."""
    if rules.needs_timing:
        return _CALL
    if not rules.uses_rates:
        return _MARK
    # Without the GIL, additions of threads that run at the same time would be lost: each success is recorded under the
    # lock.
    return _COUNT if getattr(sys, "_is_gil_enabled", lambda: True)() else _CALL
