"""Stop calling what keeps failing, and find out when it is back."""

from __future__ import annotations

import enum
import threading
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING

from resilience.category import ErrorCategory, combine
from resilience.classify.decide import category_of, classify
from resilience.clock import Clock
from resilience.errors.circuit import CircuitOpenError
from resilience.outcome import Outcome
from resilience.policy.base import CALL, Admission, Call, Effect, Emit, Gate, Invoke, Policy, Steps
from resilience.policy.check import count, need, seconds
from resilience.policy.states import CircuitState, Closed, HalfOpen, Open, State, Transition, Watcher
from resilience.profile import Profile, row_of
from resilience.subscription import listened

if TYPE_CHECKING:
    from datetime import timedelta

    from resilience.events import CallRejected, CircuitClosed, CircuitHalfOpened, CircuitOpened

__all__ = ["Circuit"]


class _Verdict(enum.Enum):
    SUCCESS = enum.auto()
    FAILURE = enum.auto()
    NEUTRAL = enum.auto()


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
        self.profiles: dict[int, Profile] = dict(profiles or {})
        if self.trip_on is not None and not any(self._weight(leaf) for leaf in self.trip_on):
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

    def run(self, call: Call) -> Steps:
        state: Admission = call.admission or self.state
        if call.admission is None and (self.watchers or not isinstance(state, Closed)):
            entered = yield from self._enter(call)
            if entered is None:
                return (yield from self._reject(call))
            state = entered
        call.admission = None  # taken: a retry outside asks again
        settled = False
        try:
            if self.watchers:
                yield from self._tell("admitted", call)
            outcome = yield CALL
            error = outcome.error
            verdict, weight = (_Verdict.SUCCESS, 0) if error is None else self._judge(category_of(outcome))
            transition = self._settle(state, verdict, weight, error, call)
            settled = True
        finally:
            if not settled:  # cancelled, Ctrl-C: give back what was taken and record nothing
                self.release(state)
        if self.watchers and verdict is not _Verdict.NEUTRAL:
            if verdict is _Verdict.FAILURE:
                yield from self._tell("failed", error)
            else:
                yield from self._tell("succeeded")
        if transition is not None:
            yield from self._announce(call, transition)
        return outcome

    def _enter(self, call: Call) -> Generator[Effect, Outcome, Admission | None]:
        if self.watchers:
            yield from self._tell("before_call", call)
        state, opened = self.admit(call.clock)
        try:
            if opened is not None:
                yield from self._announce(call, opened)
        except GeneratorExit:  # cancelled while it was told: the probe is not on its way
            if state is not None:
                self.release(state)
            raise
        return state

    def _reject(self, call: Call) -> Generator[Effect, Outcome, Outcome]:
        error = self._rejection(self.state, call.clock.now())
        if listened():
            yield Emit(self._rejected(call, error))
        return Outcome(None, error)

    def refuse(self, call: Call) -> Outcome | None:
        state = self.state
        if not isinstance(state, Open) or self.watchers or listened():
            return None
        now = call.clock.now()
        return Outcome(None, self._rejection(state, now)) if state.opened_at <= now < state.until else None

    def _rejection(self, state: State, now: float) -> CircuitOpenError:
        last = state.last
        error = CircuitOpenError(
            self.name,
            max(state.until - now, 0.0),
            state.failures,
            None if last is None else type(last).__name__,
            isinstance(state, HalfOpen),
        )
        error.__cause__ = last
        return error

    def counts(self, error: Exception) -> bool:
        """Whether *error* is a failure to this circuit."""
        return self._judge(classify(error))[0] is _Verdict.FAILURE

    def _judge(self, category: ErrorCategory) -> tuple[_Verdict, int]:
        """Say what a failure means to the circuit, and how much."""
        weight = self._weight(category)
        if weight and (self.trip_on is None or category._value_ & self.trip_on._value_):
            return _Verdict.FAILURE, weight
        # It answered, if only to refuse. While closed that decides nothing (see _settle); a probe it satisfies.
        return (_Verdict.SUCCESS if category._value_ & _ANSWERED else _Verdict.NEUTRAL), 0

    def _weight(self, category: ErrorCategory) -> int:
        row = self.profiles.get(category._value_) if self.profiles else None
        return (row or row_of(category)).weight

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

    def release(self, state: Admission) -> None:
        """Give a probe's permit back without a verdict."""
        if isinstance(state, HalfOpen):
            with self._lock:
                state.probing = False

    def _settle(
        self, state: Admission, verdict: _Verdict, weight: int, error: Exception | None, call: Call
    ) -> Transition | None:
        if error is None and isinstance(state, Closed) and not state.failures:
            return None  # nothing to forget
        with self._lock:
            now = call.clock.now() if verdict is _Verdict.FAILURE else 0.0
            if state is not self.state:
                return None  # a late result
            if isinstance(state, HalfOpen):
                state.probing = False
                if verdict is _Verdict.SUCCESS:
                    return self._move(Closed(quiet=not self.watchers))
                if verdict is _Verdict.FAILURE:
                    return self._move(self._opened(state.failures + weight, error, now))
            elif isinstance(state, Closed):
                if error is None:
                    state.failures = 0
                    state.quiet = not self.watchers
                elif verdict is _Verdict.FAILURE:
                    state.failures += weight
                    state.quiet = False  # the next success counts
                    if state.failures >= self.failure_threshold:
                        return self._move(self._opened(state.failures, error, now))
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
                self.state.quiet = not self.watchers and not self.state.failures

    def _opened(self, failures: int, last: Exception | None, now: float) -> Open:
        return Open(failures, last, now, now + self.reset_timeout)

    def _move(self, state: State) -> Transition:
        old, self.state = self.state, state
        return old, state

    # -- telling -------------------------------------------------------------------------------------------------

    def _tell(self, what: str, *arguments: object) -> Generator[Effect, Outcome, None]:
        for watcher in self.watchers:
            yield Invoke(getattr(watcher, what), *arguments, role="circuit listener", blocking=watcher.blocking)

    def _announce(self, call: Call, transition: Transition) -> Generator[Effect, Outcome, None]:
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


_ANSWERED = ErrorCategory.CLIENT_ERROR.value
