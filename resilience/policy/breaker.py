"""Stop calling what keeps failing, and find out when it is back."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from resilience.classify.decide import category_of, classify
from resilience.classify.hint import retry_after
from resilience.clock import Clock, current_clock
from resilience.errors.circuit import CircuitOpenError
from resilience.outcome import Outcome
from resilience.policy.base import Call, Emit, Gate, Invoke, Policy, Steps, Telling
from resilience.policy.check import need
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
from resilience.subscription import emit, listened
from resilience.trouble import report_trouble

if TYPE_CHECKING:
    from resilience.category import ErrorCategory
    from resilience.events import CallRejected, CircuitClosed, CircuitHalfOpened, CircuitModeChanged, CircuitOpened

__all__ = ["Circuit"]

# Where threads run at the same time, some of them would be lost when all count: there each is told.
_COUNTED = Telling.COUNT if getattr(sys, "_is_gil_enabled", lambda: True)() else Telling.CALL

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_MARK, _COUNT, _CALL = Telling.MARK, Telling.COUNT, Telling.CALL
_SHADOW, _DISABLED = CircuitMode.SHADOW, CircuitMode.DISABLED

_NOBODY = object()
"""What a call was let in by that nothing is recorded of."""


class Circuit(Policy):
    """The state machine: what every call through one circuit shares.

    No lock is held while a call runs, and none is taken by a call that succeeds through a closed circuit.
    """

    streams = True

    __slots__ = (
        "__weakref__",
        "_lock",
        "category",
        "face",
        "mode",
        "name",
        "plain",
        "rules",
        "since",
        "state",
        "telling",
        "watchers",
    )

    def __init__(self, name: str, rules: Rules) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name={name!r}: give the dependency's name as text, such as 'billing'")
        need(bool(name.strip()), "name", name, "the dependency's name, such as 'billing'")
        self.name: str = name
        self.rules: Rules = rules
        self.plain: bool = rules.failure_if is None  # else every result is looked at
        self.telling: Telling = _CALL if rules.timed else _COUNTED if rules.rates else _MARK
        self.mode: CircuitMode = CircuitMode.NORMAL
        self.watchers: Sequence[Watcher] = ()
        #: The category of the last failure that counted.
        self.category: ErrorCategory | None = None
        #: When the circuit came to its state: seconds since 1970.
        self.since: float = current_clock().wall()
        #: The public object, which a circuit that guards something keeps alive.
        self.face: object = None
        self._lock = threading.Lock()
        self.state: State = Closed(rules, quiet=True)

    @property
    def gate(self) -> Gate:  # type: ignore[override]  # a circuit is its own gate
        return self

    # -- the call ------------------------------------------------------------------------------------------------

    def before(self, call: Call, at: int) -> Outcome | Steps[Outcome | None] | None:
        state = self.state
        if not state.quiet:
            refused = self.refuse(call.clock)
            return self._enter(call, at) if refused is None else Outcome(None, refused)
        call.held[at] = state if self.telling is not _CALL else (state, call.clock.now())
        return None

    def after(self, call: Call, at: int, outcome: Outcome) -> Outcome | Steps[Outcome]:
        admitted: object = call.held.pop(at, None) or call.admission  # the happy path looked at the state for us
        began = 0.0
        if admitted.__class__ is tuple:
            admitted, began = cast("tuple[object, float]", admitted)
        error = outcome.error
        if error is not None:
            category = category_of(outcome)
            weight = self.rules.weights[category._value_]
            transition = self._settle(admitted, weight, category, error, call.clock)
        else:
            weight = ANSWERED if self.plain else self._judge(outcome.value)
            if weight == ANSWERED and isinstance(admitted, Closed):
                transition = self._passed(admitted, began, call.clock)
            else:
                transition = self._settle(admitted, weight, None, None, call.clock)
        if (self.watchers and self.mode is not _DISABLED) or (transition is not None and listened()):
            return self._tell_all(call, outcome, weight, transition)
        return outcome

    def release(self, call: Call, at: int) -> None:
        self._release(call.held.pop(at, None))

    def _judge(self, value: object) -> int:
        """Say what a result weighs: a failure as much as one."""
        judge = self.rules.failure_if
        assert judge is not None
        try:
            return 1 if judge(value) else ANSWERED
        except Exception as error:
            report_trouble("failure_if", judge, error)
            return ANSWERED

    def _enter(self, call: Call, at: int) -> Steps[Outcome | None]:
        yield from self._tell("before_call", call)
        admitted, opened = self.admit(call.clock)
        entered = False
        try:
            if opened is not None:
                yield from self._announce(call, opened)
            if admitted is None:
                shadow = self.mode is _SHADOW
                state = self.state
                error = self._rejection(state, max(_next_time(state) - call.clock.now(), 0.0))
                if listened():
                    yield Emit(self._rejected(call, error, shadow))
                if not shadow:
                    return Outcome(None, error)
            yield from self._tell("admitted", call)
            entered = True
        finally:
            if not entered:  # cancelled while it was told: the probe is not on its way
                self._release(admitted)
        timed = self.telling is _CALL and isinstance(admitted, Closed)
        call.held[at] = (admitted, call.clock.now()) if timed else admitted or _NOBODY
        return None

    def _tell_all(self, call: Call, outcome: Outcome, weight: int, transition: Transition | None) -> Steps[Outcome]:
        if weight == ANSWERED:
            yield from self._tell("succeeded")
        elif weight > 0 and outcome.error is not None:
            yield from self._tell("failed", outcome.error)
        if transition is not None:
            yield from self._announce(call, transition)
        return outcome

    def refuse(self, clock: Clock) -> CircuitOpenError | None:
        state = self.state
        if not isinstance(state, Open) or self.watchers or listened() or self.mode is _SHADOW:
            return None
        now = clock.now()
        return self._rejection(state, state.until - now) if state.opened_at <= now < state.until else None

    def _rejection(self, state: State, left: float) -> CircuitOpenError:
        # Not through its __init__, which does the same: this is what every call costs while a dependency is down.
        kind = state.__class__
        error = CircuitOpenError.__new__(
            CircuitOpenError, self.name, left, state.failures, state.last_type, kind is HalfOpen, kind is Closed
        )
        error.__cause__ = state.last
        return error

    def counts(self, error: Exception) -> bool:
        """Whether *error* is a failure to this circuit."""
        return self.rules.weights[classify(error)._value_] > 0

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
                state = HalfOpen(state.failures, state.last, state.openings)
                transition = self._move(state, clock)
            return self._lease(state, now), transition

    def _has_its_turn(self, state: Closed, now: float, clock: Clock) -> bool:
        """Whether a call is of the share that passes while the circuit ramps up; in the end everybody is."""
        if state.ramped is None or not state.since <= now < state.ramped:
            state.ramped = None
            state.quiet = not self.watchers
            return True
        return clock.random() * (state.ramped - state.since) < now - state.since

    def _lease(self, state: HalfOpen, now: float) -> Permit | None:
        # A probe that is lost has had its time; so has one that was let in by another clock.
        state.permits = {permit for permit in state.permits if permit.given <= now < permit.until}
        if len(state.permits) >= self.rules.probes:
            return None
        permit = Permit(now, now + self.rules.lease_seconds)
        state.permits.add(permit)
        return permit

    def _release(self, admitted: object) -> None:
        """Give a probe's permit back without a verdict."""
        if isinstance(admitted, Permit):
            with self._lock:
                if isinstance(self.state, HalfOpen):
                    self.state.permits.discard(admitted)

    # -- how calls end: each transition replaces the state object, under the lock --------------------------------

    def ended(self, state: Any, began: float, clock: Clock) -> None:
        transition = self._passed(state, began, clock)
        if transition is not None and listened():
            emit(self.event(self.name, transition))

    def _passed(self, state: Closed, began: float, clock: Clock) -> Transition | None:
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
            if slow and state is self.state and self.mode is not _DISABLED and state.is_too_bad(self.rules, now):
                return self._open(None, 0, None, clock)
            return None

    def _settle(
        self, admitted: Any, weight: int, category: ErrorCategory | None, error: Exception | None, clock: Clock
    ) -> Transition | None:
        """Record any other end of a call on what let it in."""
        rules = self.rules
        hold = None if rules.open_for is None else self._asked_for(rules.open_for, category, error)
        with self._lock:
            state = self.state
            if isinstance(state, Closed):
                if state is not admitted or (weight <= 0 and hold is None) or self.mode is _DISABLED:
                    return None  # it comes late, or decides nothing
                self.category = category
                now = clock.now() if rules.rates else 0.0
                if weight > 0:
                    state.fail(weight, now)
                threshold = rules.failure_threshold
                if (
                    hold is not None
                    or (threshold is not None and state.failures >= threshold)
                    or (rules.rates and state.is_too_bad(rules, now))
                ):
                    failures = state.failures if weight > 0 else state.in_a_row
                    return self._open(error, failures, None, clock, hold)
            elif isinstance(state, HalfOpen) and admitted in state.permits:  # else its lease is over, or it comes late
                state.permits.discard(admitted)
                if hold is not None or weight > 0:
                    self.category = category
                    return self._open(error, state.failures + max(weight, 0), state, clock, hold)
                if weight == ANSWERED:
                    state.successes += 1
                    if state.successes >= rules.success_threshold:
                        return self._close(clock)
            return None

    def _asked_for(
        self, wanted: ErrorCategory, category: ErrorCategory | None, error: Exception | None
    ) -> float | None:
        """Return how long a failure of a category in *wanted* asks everybody to stay away."""
        if category is None or error is None or category not in wanted:
            return None
        asked = retry_after(error)
        return asked if asked is not None and 0 < asked < math.inf else None

    def _open(
        self, last: Exception | None, failures: int, probed: HalfOpen | None, clock: Clock, hold: float | None = None
    ) -> Transition:
        now = clock.now()
        openings = 1 if probed is None else probed.openings + 1
        wait = self.rules.open_seconds(openings, clock.random()) if hold is None else hold
        return self._move(Open(failures, last, now, now + wait, openings), clock)

    def _close(self, clock: Clock) -> Transition:
        return self._move(Closed(self.rules, quiet=not self.watchers, since=clock.now()), clock)

    def _move(self, state: State, clock: Clock) -> Transition:
        old, self.state = self.state, state
        self.since = clock.wall()
        return old, state

    # -- by hand -------------------------------------------------------------------------------------------------

    def force(self, kind: CircuitState, clock: Clock) -> Transition | None:
        """Go to *kind* whatever the present state; None when it is there already, or its mode keeps it."""
        with self._lock:
            state = self.state
            if self.mode in (CircuitMode.ISOLATED, CircuitMode.DISABLED):
                return None
            if kind is CircuitState.CLOSED:
                closed = Closed(self.rules, quiet=not self.watchers)
                if isinstance(state, Closed):  # no transition, but a new start: nothing recorded, and no ramp
                    self.state = closed
                    return None
                return self._move(closed, clock)
            if state.kind is kind:
                return None
            if kind is CircuitState.OPEN:
                return self._open(state.last, state.in_a_row, state if isinstance(state, HalfOpen) else None, clock)
            return self._move(HalfOpen(state.in_a_row, state.last, state.openings), clock)

    def change_mode(self, mode: CircuitMode, clock: Clock) -> Transition | None:
        """Go to *mode*; what was recorded is forgotten when the circuit starts, or stops, to lead a life of its own."""
        with self._lock:
            old, self.mode = self.mode, mode
            if mode is CircuitMode.ISOLATED:
                return self._move(Open(0, None, -math.inf, math.inf, 0), clock)
            kept = (CircuitMode.NORMAL, CircuitMode.SHADOW)
            if mode is CircuitMode.DISABLED:
                return self._move(Closed(self.rules, quiet=True), clock)
            if old in kept:
                return None
            return self._move(Closed(self.rules, quiet=not self.watchers), clock)

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
        if self.mode is _DISABLED:  # what it counts nevertheless, for speed, is not recorded
            state = Closed(self.rules, quiet=True)
        return state.share(now) if isinstance(state, Closed) else None

    # -- telling -------------------------------------------------------------------------------------------------

    def _tell(self, what: str, *arguments: object) -> Steps[None]:
        for watcher in self.watchers:
            told = getattr(watcher, what)
            yield Invoke(told, *arguments, role="circuit listener", hook=watcher.hook(what), blocking=watcher.blocking)

    def _announce(self, call: Call, transition: Transition) -> Steps[None]:
        yield from self._tell("changed", *transition)
        if listened():
            yield Emit(self.event(call.target, transition))

    def _rejected(self, call: Call, error: CircuitOpenError, shadow: bool) -> CallRejected:
        from resilience.events import CallRejected

        return CallRejected(target=call.target, policy=self.name, retry_after=error.retry_after, shadow=shadow)

    def event(self, target: str, transition: Transition) -> CircuitOpened | CircuitHalfOpened | CircuitClosed:
        """Return what is told of a transition."""
        from resilience.events import CircuitClosed, CircuitHalfOpened, CircuitOpened

        state = transition[1]
        if isinstance(state, Open):
            return CircuitOpened(
                target=target,
                policy=self.name,
                failures=state.failures,
                retry_after=state.until - state.opened_at,
                category=None if state.last is None else classify(state.last),
            )
        kind = CircuitHalfOpened if isinstance(state, HalfOpen) else CircuitClosed
        return kind(target=target, policy=self.name)

    def mode_event(self, target: str) -> CircuitModeChanged:
        """Return what is told of a change of mode."""
        from resilience.events import CircuitModeChanged

        return CircuitModeChanged(target=target, policy=self.name, mode=self.mode.value)

    def __str__(self) -> str:
        return f"circuit_breaker({', '.join([repr(self.name), *self.rules.shown()])})"


def _next_time(state: State) -> float:
    """Return when the next call may be let in."""
    return (state.ramped or 0.0) if isinstance(state, Closed) else state.until
