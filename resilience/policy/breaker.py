"""Stop calling what keeps failing, and find out when it is back."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from resilience.category import ErrorCategory, combine
from resilience.classify.decide import category_of, classify
from resilience.clock import Clock
from resilience.errors.circuit import CircuitOpenError
from resilience.outcome import Outcome
from resilience.policy.base import Call, Emit, Gate, Invoke, Policy, Steps
from resilience.policy.check import count, need, seconds
from resilience.policy.states import CircuitState, Closed, HalfOpen, Open, State, Transition, Watcher
from resilience.profile import Profile, Reading
from resilience.subscription import listened

if TYPE_CHECKING:
    from datetime import timedelta

    from resilience.events import CallRejected, CircuitClosed, CircuitHalfOpened, CircuitOpened

__all__ = ["Circuit"]


# What a failure weighs where it is none: the dependency answered, or nothing can be said.
_SUCCESS, _NEUTRAL = 0, -1


class Circuit(Policy):
    """The state machine: what every call through one circuit shares.

    Opens after *failure_threshold* failures in a row, weighed by their category's ``weight``; rejects for
    *reset_timeout* seconds; then lets one probe at a time through, closes on its success and opens again on its
    failure. No lock is held while a call runs, and none is taken by a call that succeeds through a closed circuit.
    """

    def __init__(
        self,
        name: str,
        *,
        failure_threshold: int,
        reset_timeout: float | timedelta,
        trip_on: ErrorCategory | None = None,
        profiles: Mapping[int, Profile] | None = None,
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name={name!r}: give the dependency's name as text, such as 'billing'")
        need(bool(name.strip()), "name", name, "the dependency's name, such as 'billing'")
        self.name = name
        self.failure_threshold: int = count("failure_threshold", failure_threshold)
        self.reset_timeout: float = seconds("reset_timeout", reset_timeout)
        self.trip_on: ErrorCategory | None = None if trip_on is None else combine("trip_on", [trip_on])
        self.profiles: Mapping[int, Profile] = profiles or {}
        self._weights: Reading[int] = Reading(self._weigh, self.profiles)
        if self.trip_on is not None and not any(self._weights[leaf.value] > 0 for leaf in self.trip_on):
            raise ValueError(
                f"trip_on={self.trip_on.label!r}: failures of this category have weight 0 and would never open the"
                f" circuit; add a category that counts, or give it weight with profiles={{...: {{'weight': 1}}}}"
            )
        self.watchers: Sequence[Watcher] = ()
        self._lock = threading.Lock()
        self.state: State = Closed(quiet=True)

    @property
    def gate(self) -> Gate:  # type: ignore[override]  # a circuit is its own gate
        return self

    # -- the call ------------------------------------------------------------------------------------------------

    def before(self, call: Call, at: int) -> Outcome | Steps[Outcome | None] | None:
        state = self.state
        if self.watchers or state.__class__ is not Closed:
            refused = self.refuse(call.clock)
            return self._enter(call, at) if refused is None else Outcome(None, refused)
        call.held[at] = state
        return None

    def after(self, call: Call, at: int, outcome: Outcome) -> Outcome | Steps[Outcome]:
        state = call.held.pop(at, None) or call.admission  # the happy path looked at the state for us
        error = outcome.error
        if error is None:
            weight = _SUCCESS
        else:
            category = category_of(outcome)
            weight = self._weights[category._value_]
        transition = self._settle(state, weight, error, call.clock)
        if self.watchers or (transition is not None and listened()):
            return self._tell_all(call, outcome, weight, transition)
        return outcome

    def release(self, call: Call, at: int) -> None:
        self._release(call.held.pop(at, None))

    def _enter(self, call: Call, at: int) -> Steps[Outcome | None]:
        yield from self._tell("before_call", call)
        state, opened = self.admit(call.clock)
        if state is None:
            error = self._rejection(self.state, max(self.state.until - call.clock.now(), 0.0))
            if listened():
                yield Emit(self._rejected(call, error))
            return Outcome(None, error)
        entered = False
        try:
            if opened is not None:
                yield from self._announce(call, opened)
            yield from self._tell("admitted", call)
            entered = True
        finally:
            if not entered:  # cancelled while it was told: the probe is not on its way
                self._release(state)
        call.held[at] = state
        return None

    def _tell_all(self, call: Call, outcome: Outcome, weight: int, transition: Transition | None) -> Steps[Outcome]:
        if weight > 0:
            yield from self._tell("failed", outcome.error)
        elif weight == _SUCCESS:
            yield from self._tell("succeeded")
        if transition is not None:
            yield from self._announce(call, transition)
        return outcome

    def refuse(self, clock: Clock) -> CircuitOpenError | None:
        state = self.state
        if not isinstance(state, Open) or self.watchers or listened():
            return None
        now = clock.now()
        return self._rejection(state, state.until - now) if state.opened_at <= now < state.until else None

    def _rejection(self, state: Open | HalfOpen | Closed, left: float) -> CircuitOpenError:
        # Not through its __init__, which does the same: this is what every call costs while a dependency is down.
        probing = state.__class__ is HalfOpen
        error = CircuitOpenError.__new__(CircuitOpenError, self.name, left, state.failures, state.last_type, probing)
        error.__cause__ = state.last
        return error

    def counts(self, error: Exception) -> bool:
        """Whether *error* is a failure to this circuit."""
        return self._weights[classify(error)._value_] > 0

    def _weigh(self, row: Profile) -> int:
        """Say what a failure means to the circuit: how much it counts, or _SUCCESS, or _NEUTRAL."""
        if row.weight and (self.trip_on is None or row.category in self.trip_on):
            return row.weight
        # It answered, if only to refuse. While closed that decides nothing (see _settle); a probe it satisfies.
        return _SUCCESS if row.category in ErrorCategory.CLIENT_ERROR else _NEUTRAL

    # -- transitions: each replaces the state object, under the lock ---------------------------------------------

    def admit(self, clock: Clock) -> tuple[State | None, Transition | None]:
        """Return the state a call is let through by, or None; and the transition that made it possible."""
        state = self.state
        if isinstance(state, Closed):
            return state, None
        with self._lock:
            # Under the lock: a thread that looked at the clock before another one did, and came in after it, would
            # take it for a clock that was set back.
            now = clock.now()
            state = self.state
            transition: Transition | None = None
            if isinstance(state, Open):
                if now < state.opened_at:  # another clock, or one that was set back: the time starts again
                    state.opened_at, state.until = now, now + self.reset_timeout
                if now < state.until:
                    return None, None
                transition = self._move(HalfOpen(state.failures, state.last))
            elif isinstance(state, HalfOpen) and state.probing:
                if state.until - self.reset_timeout <= now < state.until:
                    return None, None
                # The probe is lost: a state of its own for the next one, so that the lost one cannot decide for it.
                transition = self._move(HalfOpen(state.failures, state.last))
            if isinstance(self.state, HalfOpen):
                self.state.probing = True
                self.state.until = now + self.reset_timeout
            return self.state, None if transition and transition[0].kind is transition[1].kind else transition

    def _release(self, state: object) -> None:
        """Give a probe's permit back without a verdict."""
        if isinstance(state, HalfOpen):
            with self._lock:
                state.probing = False

    def _settle(self, state: Any, weight: int, error: Exception | None, clock: Clock) -> Transition | None:
        closed = state.__class__ is Closed
        if closed and error is None:
            state.passed = True
            return None
        with self._lock:
            if state is not self.state:
                return None  # a late result
            if closed:
                if weight > 0:
                    if state.passed:
                        state.passed = False
                        state.failures = 0
                    state.failures += weight
                    if state.failures >= self.failure_threshold:
                        return self._move(self._opened(state.failures, error, clock.now()))
            elif isinstance(state, HalfOpen):
                state.probing = False
                if weight == _SUCCESS:
                    return self._move(Closed(quiet=not self.watchers))
                if weight > 0:
                    return self._move(self._opened(state.failures + weight, error, clock.now()))
            return None

    def force(self, kind: CircuitState, now: float) -> Transition | None:
        """Go to *kind* whatever the present state; None when it is there already."""
        with self._lock:
            if self.state.kind is kind:
                return None
            if kind is CircuitState.CLOSED:
                return self._move(Closed(quiet=not self.watchers))
            last = self.state.last
            if kind is CircuitState.OPEN:
                return self._move(self._opened(self.state.failures, last, now))
            return self._move(HalfOpen(self.state.failures, last))

    def watch(self, watchers: Sequence[Watcher]) -> None:
        """Have *watchers*, and nobody else, told everything; a call then always takes the driver's road."""
        with self._lock:
            self.watchers = tuple(watchers)
            if isinstance(self.state, Closed):
                self.state.quiet = not self.watchers

    def _opened(self, failures: int, last: Exception | None, now: float) -> Open:
        return Open(failures, last, now, now + self.reset_timeout)

    def _move(self, state: State) -> Transition:
        old, self.state = self.state, state
        return old, state

    # -- telling -------------------------------------------------------------------------------------------------

    def _tell(self, what: str, *arguments: object) -> Steps[None]:
        for watcher in self.watchers:
            yield Invoke(getattr(watcher, what), *arguments, role="circuit listener", blocking=watcher.blocking)

    def _announce(self, call: Call, transition: Transition) -> Steps[None]:
        yield from self._tell("changed", *transition)
        if listened():
            yield Emit(self.event(call.target, transition))

    def _rejected(self, call: Call, error: CircuitOpenError) -> CallRejected:
        from resilience.events import CallRejected

        return CallRejected(target=call.target, policy=self.name, retry_after=error.retry_after)

    def event(self, target: str, transition: Transition) -> CircuitOpened | CircuitHalfOpened | CircuitClosed:
        """Return what is told of a transition."""
        from resilience.events import CircuitClosed, CircuitHalfOpened, CircuitOpened

        state = transition[1]
        if isinstance(state, Open):
            return CircuitOpened(
                target=target,
                policy=self.name,
                failures=state.failures,
                retry_after=self.reset_timeout,
                category=None if state.last is None else classify(state.last),
            )
        kind = CircuitHalfOpened if isinstance(state, HalfOpen) else CircuitClosed
        return kind(target=target, policy=self.name)

    def __str__(self) -> str:
        narrowed = "" if self.trip_on is None else f", trip_on={self.trip_on.label}"
        return (
            f"circuit_breaker({self.name!r}, failure_threshold={self.failure_threshold},"
            f" reset_timeout={self.reset_timeout:g}{narrowed})"
        )
