"""The states of a circuit and what takes it from one to the other: who is let in, and what their results decide."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from resilience.clock import Clock, current_clock
from resilience.policy.base import Telling
from resilience.policy.states import (
    CircuitMode,
    CircuitState,
    Closed,
    HalfOpen,
    Open,
    Permit,
    State,
    Transition,
    Watcher,
)
from resilience.policy.trip import ANSWERED, Rules
from resilience.policy.window import Share

if TYPE_CHECKING:
    from resilience.category import ErrorCategory

__all__ = ["Machine"]

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_MARK, _COUNT, _CALL = Telling.MARK, Telling.COUNT, Telling.CALL
_DISABLED = CircuitMode.DISABLED


class Machine:
    """What all calls through one circuit share. It knows permits, weights and the time, and nothing of calls.

    No lock is held while a call runs, and none is taken by a call that succeeds through a closed circuit. While it is
    held, a destructor or a signal handler of the same thread may come in between, call, and end calls: what was looked
    at before is looked at again where the state is replaced.
    """

    __slots__ = ("_lock", "category", "mode", "rules", "since", "state", "telling", "watchers")

    def __init__(self, rules: Rules) -> None:
        self.rules: Rules = rules
        self.telling: Telling = _telling(rules)
        self.mode: CircuitMode = CircuitMode.NORMAL
        self.watchers: Sequence[Watcher] = ()
        #: The category of the last failure that counted.
        self.category: ErrorCategory | None = None
        #: When the circuit came to its state: seconds since 1970.
        self.since: float = current_clock().wall()
        self._lock = threading.RLock()  # for a stream that the collector closes, and for whoever is called by a signal
        self.state: State = Closed(rules, quiet=True)

    # -- being let in --------------------------------------------------------------------------------------------

    def admit(self, clock: Clock) -> tuple[Closed | Permit | None, Transition | None]:
        """Return what a call is let through by, or None; and the transition that made it possible."""
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
                return state if self._has_its_turn(state, now, clock) else None, None
            if isinstance(state, Open):
                if now < state.opened_at:  # another clock, or one that was set back: the time starts again
                    state.opened_at, state.until = now, now + (state.until - state.opened_at)
                if now < state.until:
                    return None, None
                probed = HalfOpen(
                    state.failures, state.last_error_type, state.last_category, state.openings, state.permits
                )
                transition = self._move(probed, clock, state)
                if transition is None:
                    return self.admit(clock)
                state = probed
            return self._lease(state, now), transition

    def _has_its_turn(self, state: Closed, now: float, clock: Clock) -> bool:
        """Whether a call is of the share that passes while the circuit ramps up; in the end everybody is."""
        if state.ramped is None or not state.since <= now < state.ramped:
            state.ramped = None
            state.quiet = not self.watchers
            return True
        return clock.random() * (state.ramped - state.since) < now - state.since

    def _lease(self, state: HalfOpen, now: float) -> Permit | None:
        for permit in state.permits.copy():
            if not permit.is_out(now):  # a probe that is lost has had its time
                state.permits.discard(permit)
        permit = Permit(state, now, now + self.rules.lease_seconds)  # first: while it is made, others may come in
        if len(state.permits) >= self.rules.probes:
            return None
        state.permits.add(permit)
        return permit

    def is_leased(self, permit: Permit, clock: Clock) -> bool:
        """Whether *permit* is that of a probe in flight, in the present half-open state, whose lease is not over."""
        state = self.state
        return permit.by is state and permit in permit.by.permits and permit.is_out(clock.now())

    def give_back(self, admitted: Any) -> None:
        """Take back a probe's permit without a verdict; whatever else let a call in is left alone."""
        with self._lock:
            if not isinstance(self.state, Closed):
                self.state.permits.discard(admitted)

    # -- how calls end: each transition replaces the state object, under the lock --------------------------------

    def passed(self, state: Closed, began: float, clock: Clock) -> Transition | None:
        """Record a success on the state that let it in."""
        if self.telling is _MARK:
            state.passed = True
            return None
        if self.telling is _COUNT:
            state.passes += 1
            return None
        with self._lock:
            now = clock.now()
            slow = self.rules.slow_seconds is not None and now - began >= self.rules.slow_seconds
            state.count(now, slow=slow)
            if slow and self.mode is not _DISABLED and state.is_too_bad(self.rules, now):
                return self._move(self._opened(state, None, None, 0, clock), clock, state)
            return None

    def settle(
        self,
        admitted: Any,
        weight: int,
        clock: Clock,
        category: ErrorCategory | None = None,
        error: Exception | None = None,
        hold: float | None = None,
    ) -> Transition | None:
        """Record any other end of a call on what let it in. *hold* opens it at once, for so many seconds."""
        failed = weight if weight > 0 else 0  # noqa: FURB136  # max() is 1100 instructions more on CPython 3.11
        with self._lock:
            state = self.state
            if isinstance(state, Closed):
                if state is not admitted or self.mode is _DISABLED or not (failed or hold is not None):
                    return None  # it comes late, or decides nothing
                self.category = category
                rules = self.rules
                now = clock.now() if rules.rates else 0.0
                state.fail(failed, now)
                threshold = rules.failure_threshold
                in_a_row = threshold is not None and state.failures >= threshold
                if hold is not None or in_a_row or (rules.rates and state.is_too_bad(rules, now)):
                    return self._move(
                        self._opened(state, _type_name(error), category, state.failures, clock, hold), clock, state
                    )
                return None
            if admitted not in state.permits:  # its lease is over, or it comes late
                return None
            state.permits.discard(admitted)
            by: HalfOpen = admitted.by
            if by is not state:  # from before it opened again
                return None
            if failed or hold is not None:
                self.category = category
                return self._move(
                    self._opened(by, _type_name(error), category, by.failures + failed, clock, hold), clock, by
                )
            if weight == ANSWERED:
                by.successes += 1
                if by.successes >= self.rules.success_threshold:
                    closed = Closed(self.rules, quiet=not self.watchers, since=clock.now())
                    return self._move(closed, clock, by)
            return None

    def _opened(
        self,
        state: State,
        last_error_type: str | None,
        last_category: ErrorCategory | None,
        failures: int,
        clock: Clock,
        hold: float | None = None,
    ) -> Open:
        """Return what comes after *state* when the circuit opens."""
        now = clock.now()
        openings = state.openings + 1
        wait = self.rules.open_seconds(openings, clock.random()) if hold is None else hold
        permits = state.permits if isinstance(state, HalfOpen) else None
        return Open(failures, last_error_type, last_category, now, now + wait, openings, permits)

    def _move(
        self, state: State, clock: Clock, seen: State | None = None, mode: CircuitMode | None = None
    ) -> Transition | None:
        """Go to *state*, where *seen* is given only if it is still the present one, and to *mode*."""
        since = clock.wall()
        # From here on nothing is called, so that nobody comes in between.
        old = self.state
        if seen is not None and old is not seen:
            return None
        self.state, self.since = state, since
        if mode is not None:
            self.mode = mode
        return old, state

    # -- by hand -------------------------------------------------------------------------------------------------

    def force(
        self,
        kind: CircuitState,
        clock: Clock,
        last: tuple[str, ErrorCategory] | None = None,
        failures: int | None = None,
    ) -> Transition | None:
        """Go to *kind* whatever the present state; None when it is there already, or its mode keeps it.

        *last*, the type and the category of the last failure, and *failures* are what opens it, where calls through
        other circuits of a shared store failed as well.
        """
        with self._lock:
            state, since = self.state, self.since
            if self.mode in (CircuitMode.ISOLATED, _DISABLED):
                return None
            new: State
            if kind is CircuitState.CLOSED:
                new = Closed(self.rules, quiet=not self.watchers)
            elif state.kind is kind:
                return None
            elif kind is CircuitState.OPEN:
                error_type, category = last or (state.last_error_type, state.last_category)
                new = self._opened(state, error_type, category, state.in_a_row if failures is None else failures, clock)
            else:
                new = HalfOpen(state.in_a_row, state.last_error_type, state.last_category, state.openings)
            transition = self._move(new, clock, state)
            if transition is None:
                return self.force(kind, clock, last, failures)
            if state.kind is not kind:
                return transition
            self.since = since  # no transition, but a new start: nothing recorded, and no ramp
            return None

    def change_mode(self, mode: CircuitMode, clock: Clock) -> Transition | None:
        """Go to *mode*; what was recorded is forgotten when the circuit starts, or stops, to lead a life of its own."""
        with self._lock:
            state: State
            if mode is CircuitMode.ISOLATED:
                state = Open(0, None, None, -math.inf, math.inf, 0)
            elif mode is _DISABLED:
                state = Closed(self.rules, quiet=True)
            elif self.mode in (CircuitMode.NORMAL, CircuitMode.SHADOW):
                self.mode = mode
                return None
            else:
                state = Closed(self.rules, quiet=not self.watchers)
            return self._move(state, clock, mode=mode)

    def watch(self, watchers: Sequence[Watcher]) -> None:
        """Have *watchers*, and nobody else, told everything; a call then always takes the driver's road."""
        with self._lock:
            self.watchers = tuple(watchers)
            if isinstance(self.state, Closed):
                told = bool(self.watchers) and self.mode is not _DISABLED
                self.state.quiet = not told and self.state.ramped is None

    def share(self, now: float) -> Share | None:
        """Return what the last calls came to while it is closed, where shares are looked at. Ask under its lock."""
        state = self.state
        if not self.rules.rates or not isinstance(state, Closed):
            return None
        # What a disabled one counts nevertheless, for speed, is not recorded.
        return Share(0, 0, 0) if self.mode is _DISABLED else state.share(now)


def _type_name(error: Exception | None) -> str | None:
    return None if error is None else type(error).__name__


def _telling(rules: Rules) -> Telling:
    """Say what has to be known of a success."""
    if rules.timed:
        return _CALL
    if not rules.rates:
        return _MARK
    # Where threads run at the same time, some of them would be lost when all count: there each is told.
    return _COUNT if getattr(sys, "_is_gil_enabled", lambda: True)() else _CALL
