"""I/O-free circuit breaker state machine.

Owns the current state and mode of one circuit, its lock and every transition. Each state decides which calls
it admits, and counts their outcomes (`circuit_states`); the machine replaces the state object by the next one, under
the lock.
It knows nothing of sync or async, calls no user code and notifies no observer: it returns the transition it has made,
and `CircuitBreakerPolicy` announces that.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from resilience._forks import release_in_child
from resilience._runtime.protocol import Admission, SuccessReporting
from resilience.categories import ErrorCategory
from resilience.clock import Clock, current_clock
from resilience.policies._circuit_breaker_config import SUCCESS, CircuitBreakerConfig
from resilience.policies._sliding_window import WindowSnapshot
from resilience.policies.circuit_states import (
    CircuitMode,
    CircuitObserver,
    CircuitState,
    Closed,
    ClosedWithRates,
    HalfOpen,
    Open,
    ProbePermit,
    State,
    Transition,
)

__all__ = ["CircuitStateMachine"]

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_MARK, _COUNT, _CALL = SuccessReporting.MARK, SuccessReporting.COUNT, SuccessReporting.CALL
_DISABLED, _ISOLATED = CircuitMode.DISABLED, CircuitMode.ISOLATED
_CLOSED, _OPEN = CircuitState.CLOSED, CircuitState.OPEN
_FIXES_STATE = frozenset({_ISOLATED, _DISABLED})


class CircuitStateMachine:
    """The state that all calls through one circuit share.

    A call acquires admission by `acquire`, and ends in exactly one of `record_success`, `record`, `record_slow` and
    `release`:

    ==================  ==========================================  =========================================
    the call            was admitted by a closed state              was admitted as a probe
    ==================  ==========================================  =========================================
    succeeds            `record_success`: no lock, or a short one   `record`: may close the circuit
    fails               `record`: may open the circuit              `record`: may open the circuit again
    is cut off, slow    `record_slow`: may open the circuit         `record`: opens the circuit again
    is cancelled        nothing                                     `release`: gives the permit back
    ==================  ==========================================  =========================================

    No lock is held while a call runs, and a call that succeeds through a closed circuit takes none. While the lock is
    held, a destructor or a signal handler may run in the same thread, begin calls and end others: a transition
    therefore compares the state it replaces with the one it has seen.

    Time is read from the clock that is handed in. Where another clock is handed in, or it is set back, periods start
    again; the circuit never stays open for longer than its time from then on.
    """

    __slots__ = ("_lock", "category", "config", "mode", "observers", "since", "state", "telling")

    #: An attribute, since a call may be closed while the interpreter ends: the names of modules are gone by then.
    _permit: ClassVar[type[ProbePermit]] = ProbePermit

    def __init__(self, config: CircuitBreakerConfig) -> None:
        self.config: CircuitBreakerConfig = config
        self.telling: SuccessReporting = _telling(config)
        self.mode: CircuitMode = CircuitMode.NORMAL
        self.observers: Sequence[CircuitObserver] = ()
        #: The category of the last failure that counted.
        self.category: ErrorCategory | None = None
        #: When the circuit entered its state: seconds since 1970.
        self.since: float = current_clock().wall()
        self._lock = threading.RLock()  # a stream that the collector closes, or a signal handler, may take it again
        self.state: State = self._new_closed(observed=False)

    # -- admission -----------------------------------------------------------------------------------------------

    def acquire(self, clock: Clock) -> tuple[Closed | ProbePermit | None, Transition | None]:
        """Admit a call or, by None, reject it: return what admits it, and the transition to half-open it has caused."""
        state = self.state
        if isinstance(state, Closed) and not state.selective:
            return state, None
        with self._lock:
            # Under the lock: a thread that looked at the clock before another one did, and came in after it, would
            # take it for a clock that was set back.
            now = clock.now()
            state, transition = self.state, None
            if state.half_opens(now):
                transition = self._transition(_half_open(state, state.permits), clock, state)
                if transition is None:
                    return self.acquire(clock)
                state = transition[1]
            return state.admit(now, clock, self.config), transition

    def _renew_lock(self) -> None:
        """Free the lock, in a forked process, where a thread of the parent may have held it."""
        release_in_child(self._lock)

    def would_admit(self, clock: Clock) -> bool:
        """Return whether `acquire` would admit a call now, or the mode admits every call. It changes nothing."""
        return self.mode is CircuitMode.SHADOW or self.state.would_admit(clock.now(), self.config)

    def state_at(self, now: float) -> CircuitState:
        """Return the kind of the present state; half-open where the time of an open one is over."""
        state = self.state
        if isinstance(state, Open) and state.is_over(now):
            return CircuitState.HALF_OPEN
        return state.kind

    def is_leased(self, permit: ProbePermit, clock: Clock) -> bool:
        """Whether *permit* belongs to a probe in flight of the present half-open state whose lease has not ended.

        Without the lock: what such a probe calls is admitted often, and a moment's difference does not matter.
        """
        state = self.state
        return permit.state is state and permit in permit.state.permits and permit.is_active(clock.now())

    def release(self, admitted: object) -> None:
        """Take back a probe's permit, where that *admitted* a call without an outcome: it was cancelled."""
        if isinstance(admitted, self._permit):
            with self._lock:
                self.state.take_back(admitted)

    # -- outcomes: each transition replaces the state object, under the lock -------------------------------------

    def record_success(self, state: Closed, began: float, clock: Clock) -> Transition | None:
        """Record a success on the closed state that admitted the call.

        The lock is taken only where the call's time matters. A success on a state that was replaced is lost with it.
        """
        if self.telling is not _CALL:
            state.mark_success()
            return None
        with self._lock:
            now = clock.now()
            opens = state.record_success(now, self.config, slow=now - began >= self.config.slow_seconds)
            if not opens or self.mode is _DISABLED:
                return None
            return self._transition(self._open(state, 0, clock, None, None), clock, state)

    def record_slow(self, state: Closed, clock: Clock) -> Transition | None:
        """Record a call that *state* admitted, and that was cut off when it had become slow."""
        with self._lock:
            opens = state.record_slow(clock.now())
            if not opens or self.mode is _DISABLED:
                return None
            return self._transition(self._open(state, 0, clock, None, None), clock, state)

    def record(
        self,
        admitted: Admission | ProbePermit | None,
        weight: int,
        clock: Clock,
        category: ErrorCategory | None = None,
        error: Exception | None = None,
        open_for: float | None = None,
    ) -> Transition | None:
        """Record any other outcome of *weight* on the state, or the permit, that admitted the call.

        An outcome counts on the state that admitted the call while that is the present one, or by a permit that the
        present state takes back. *open_for* opens the circuit at once, for so many seconds.
        """
        with self._lock:
            state = self.state
            if (admitted is not state and not state.take_back(admitted)) or self.mode is _DISABLED:
                return None
            if open_for is not None:
                weight = max(weight, 0)
            elif weight <= SUCCESS:
                return self._record_answer(state, weight, clock)
            self.category = category
            if not state.record_failure(weight, clock, self.config) and open_for is None:
                return None
            opened = self._open(state, state.failures, clock, _type_name(error), category, open_for)
            return self._transition(opened, clock, state)

    def _record_answer(self, state: State, weight: int, clock: Clock) -> Transition | None:
        """Record an outcome that is no failure: a successful probe may close the circuit."""
        if weight != SUCCESS or not state.record_answer(self.config):
            return None
        return self._transition(self._closed(since=clock.now(), ramp_up=self.config.ramp_up_seconds), clock, state)

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

    # -- new states ----------------------------------------------------------------------------------------------

    def _closed(self, since: float = 0.0, ramp_up: float = 0.0) -> Closed:
        """Return a closed state that calls of this circuit go through, observed where there are observers."""
        return self._new_closed(observed=bool(self.observers), since=since, ramp_up=ramp_up)

    def _new_closed(self, *, observed: bool, since: float = 0.0, ramp_up: float = 0.0) -> Closed:
        """Return a closed state with nothing recorded; it ramps up from *since*, for *ramp_up* seconds."""
        config = self.config
        if config.rates is None:
            return Closed(observed=observed, since=since, ramp_up=ramp_up)
        return ClosedWithRates(config.rates, config.new_windows(), observed=observed, since=since, ramp_up=ramp_up)

    def _open(
        self,
        state: State,
        failures: int,
        clock: Clock,
        error_type: str | None,
        category: ErrorCategory | None,
        open_for: float | None = None,
    ) -> Open:
        """Return the open state that follows *state*, for *open_for* seconds, or as long as the options say."""
        now = clock.now()
        consecutive_opens = state.consecutive_opens + 1
        if open_for is None:
            open_for = self.config.open_seconds(consecutive_opens, clock.random())
        return Open(failures, error_type, category, now, now + open_for, consecutive_opens, state.permits)

    # -- by hand -------------------------------------------------------------------------------------------------

    def transition_to(self, kind: CircuitState, clock: Clock) -> Transition | None:
        """Go to *kind* whatever the present state; None where it is there already, or the mode fixes the state."""
        make: Mapping[CircuitState, Callable[[State], State]] = {
            CircuitState.CLOSED: lambda _: self._closed(),
            CircuitState.OPEN: lambda state: self._open(
                state, state.consecutive_failures, clock, state.last_error_type, state.last_category
            ),
            CircuitState.HALF_OPEN: lambda state: _half_open(state, set()),
        }
        return self._force(kind, clock, make[kind])

    def trip(
        self, failures: int, clock: Clock, error_type: str | None, category: ErrorCategory | None
    ) -> Transition | None:
        """Open the circuit after so many *failures*, some of them of other circuits; None where it is open already."""
        return self._force(_OPEN, clock, lambda state: self._open(state, failures, clock, error_type, category))

    def _force(self, kind: CircuitState, clock: Clock, make: Callable[[State], State]) -> Transition | None:
        """Go to the state of *kind* that *make* returns for the present one, whatever happens meanwhile.

        A circuit that is closed already gets a new closed state, which is no transition.
        """
        with self._lock:
            state, since = self.state, self.since
            if self.mode in _FIXES_STATE or (state.kind is kind and kind is not _CLOSED):
                return None
            transition = self._transition(make(state), clock, state)
            if transition is None:
                return self._force(kind, clock, make)
            if state.kind is not kind:
                return transition
            self.since = since  # no transition, but a new start: nothing recorded, and no ramp
            return None

    def change_mode(self, mode: CircuitMode, clock: Clock) -> Transition | None:
        """Go to *mode*. To isolate or disable the circuit, or to end that, discards what was recorded."""
        with self._lock:
            if _FIXES_STATE.isdisjoint((mode, self.mode)):
                self.mode = mode
                return None
            make: Mapping[CircuitMode, Callable[[], State]] = {
                _ISOLATED: lambda: Open(0, None, None, -math.inf, math.inf, 0, set()),
                _DISABLED: lambda: self._new_closed(observed=False),
            }
            return self._transition(make.get(mode, self._closed)(), clock, mode=mode)

    def set_observers(self, observers: Sequence[CircuitObserver]) -> None:
        """Replace the observers. With any, every call takes the slow path."""
        with self._lock:
            self.observers = tuple(observers)
            self.state.set_observed(bool(self.observers) and self.mode is not _DISABLED)

    def reconfigure(self, config: CircuitBreakerConfig) -> None:
        """Go on with other options. The state stays, and so does the time for which it is open.

        A closed circuit keeps what it has counted where the new options count the same calls; else it counts anew.
        """
        with self._lock:
            before, self.config = self.config, config
            if isinstance(self.state, ClosedWithRates) and config.rates is not None and config.counts_like(before):
                self.state.rates = config.rates
            elif isinstance(self.state, Closed) and not config.counts_like(before):
                self.state = self._closed()
            self.telling = _telling(config)

    def window_snapshot(self, now: float) -> WindowSnapshot | None:
        """Return the window's outcomes while the circuit is closed and uses rates. Call it under the lock."""
        found = self.state.window_snapshot(now)
        if found is not None and self.mode is _DISABLED:  # it counts calls on the fast path all the same
            return WindowSnapshot(0, 0, 0)
        return found


def _type_name(error: Exception | None) -> str | None:
    if error is None:
        return None
    return type(error).__name__


def _half_open(state: State, permits: set[ProbePermit]) -> HalfOpen:
    """Return the half-open state that follows *state*, in which the probes of *permits* are in flight."""
    return HalfOpen(
        state.consecutive_failures, state.last_error_type, state.last_category, state.consecutive_opens, permits
    )


def _telling(config: CircuitBreakerConfig) -> SuccessReporting:
    """Return what the fast path reports of a success."""
    if config.rates is None:
        return _MARK
    # Without the GIL, additions of threads that run at the same time would be lost: each success is recorded under the
    # lock.
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if config.needs_timing or not has_gil:
        return _CALL
    return _COUNT
