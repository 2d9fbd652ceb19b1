"""The circuit breaker as a policy: admits or rejects a call, records its outcome and notifies listeners.

`CircuitStateMachine` makes the decisions. Here a call meets them, sync or async, alone or inside another call through
the same circuit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from resilience._runtime.circuit_context import Admitted, admitted_here, enter, leave
from resilience._runtime.method_selection import MethodSelection
from resilience._runtime.protocol import Admission, Call, Emit, Gate, Policy, Proceed, Run, Steps, SuccessReporting
from resilience._validation import need
from resilience.classify.decide import category_of, classify
from resilience.classify.hint import retry_after
from resilience.clock import Clock, current_clock
from resilience.errors.circuit import CircuitOpenError
from resilience.outcome import Outcome
from resilience.policies.circuit_breaker_config import IGNORED, SUCCESS, Rules
from resilience.policies.circuit_state_machine import CircuitStateMachine
from resilience.policies.circuit_states import (
    INNER,
    CircuitMode,
    Closed,
    HalfOpen,
    Open,
    ProbePermit,
    State,
    Transition,
)
from resilience.settings import DISABLED
from resilience.subscription import emit, listened
from resilience.trouble import call_hook, report_trouble

if TYPE_CHECKING:
    from resilience.category import ErrorCategory
    from resilience.events import CallRejected, CircuitClosed, CircuitHalfOpened, CircuitModeChanged, CircuitOpened

__all__ = ["Circuit"]

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_CALL = SuccessReporting.CALL
_SHADOW, _DISABLED = CircuitMode.SHADOW, CircuitMode.DISABLED
_PROCEED = Proceed()


class Circuit(CircuitStateMachine, Policy):
    """A circuit breaker as a policy. Once admitted, a call holds only what its generator's local variables hold."""

    supports_generators = True

    __slots__ = ("__weakref__", "fast_path", "methods", "name", "owner")

    def __init__(self, name: str, rules: Rules, methods: MethodSelection | None = None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name={name!r}: give the dependency's name as text, such as 'billing'")
        need(bool(name.strip()), "name", name, "the dependency's name, such as 'billing'")
        super().__init__(rules)
        self.name: str = name
        #: Shared by the circuits of all keys or objects of one pattern.
        self.methods: MethodSelection = (  # pyright: ignore[reportIncompatibleVariableOverride]  # it has one always
            MethodSelection(None, ()) if methods is None else methods
        )
        self.fast_path: bool = rules.failure_if is None  # else every result is judged
        #: The public `CircuitBreaker`, which a circuit that guards something keeps alive.
        self.owner: object = None

    @property
    def fast_path_gate(self) -> Gate:  # type: ignore[override]  # a circuit is its own gate
        return self

    # -- the call ------------------------------------------------------------------------------------------------

    def run(self, call: Call) -> Steps[Outcome]:
        """Admit *call* or reject it, and record its outcome on what admitted it: a state, or a probe's permit."""
        state = self.state
        admitted: Admission | ProbePermit | None = state
        began = 0.0
        running: Admitted | None = None
        if call.admitted:  # the wrapper has done what comes before the call
            admitted, began = call.admission, call.began
        elif state.fast_path and not self.methods.guards_class:
            if self.telling is _CALL:
                began = call.clock.now()
        elif self._is_inner():
            admitted = INNER
        else:
            if not state.fast_path:
                rejection = self.reject_if_open(call.clock)
                if rejection is not None:
                    return Outcome(None, rejection)
                acquired = yield from self._acquire(call)
                if isinstance(acquired, Outcome):
                    return acquired
                admitted = acquired
            began = call.clock.now()
            if self._has_inner_calls(admitted):
                running = enter(admitted)
        cancelled = True
        try:
            outcome: Outcome = yield _PROCEED
            cancelled = False
        finally:
            if cancelled and isinstance(admitted, ProbePermit):
                self.release(admitted)
            if running is not None:
                leave(running)
        if admitted is INNER:
            return outcome
        weight, transition = self._record_outcome(outcome, admitted, began, call.clock)
        if (self.observers and self.mode is not _DISABLED) or (transition is not None and listened()):
            counted = transition is not None or self.state is admitted  # else it is late
            yield from self._notify_result(call, outcome, weight, transition, counted)
        return outcome

    def _acquire(self, call: Call) -> Steps[Closed | ProbePermit | Outcome | None]:
        """Return what admits *call*, which is None for one that a circuit in shadow would reject; or its rejection."""
        yield from self._notify("before_call", call)
        admitted, opened = self.acquire(call.clock)
        notified = False
        try:
            if opened is not None:
                yield from self._notify_transition(call, opened)
            if admitted is None:
                shadow = self.mode is _SHADOW
                state = self.state
                error = self._rejection(state, max(state.until - call.clock.now(), 0.0))
                if listened():
                    yield Emit(self._rejected(call, error, shadow))
                if not shadow:
                    return Outcome(None, error)
            yield from self._notify("admitted", call)
            notified = True
        finally:
            if not notified and isinstance(admitted, ProbePermit):  # cancelled meanwhile: the probe is not made
                self.release(admitted)
        return admitted

    def _has_inner_calls(self, admitted: Admission | ProbePermit | None) -> bool:
        """Whether calls through this circuit from within a call that is so *admitted* belong to that call."""
        if isinstance(admitted, Closed):
            return self.methods.guards_class or admitted.ramped is not None
        return isinstance(admitted, ProbePermit)

    def _record_outcome(
        self, outcome: Outcome, admitted: Admission | ProbePermit | None, began: float, clock: Clock
    ) -> tuple[int, Transition | None]:
        """Record *outcome*; return what it weighs, and the transition it caused."""
        error = outcome.error
        if error is None:
            weight = SUCCESS if self.fast_path else self._result_weight(outcome.value)
            if weight == SUCCESS and isinstance(admitted, Closed):
                return weight, self.record_success(admitted, began, clock)
            return weight, self.record(admitted, weight, clock)
        category = category_of(outcome)
        weight = self._error_weight(error, category, clock)
        wanted = self.rules.open_for
        open_for = _server_backoff(error) if wanted is not None and category in wanted else None
        return weight, self.record(admitted, weight, clock, category, error, open_for)

    def _error_weight(self, error: Exception, category: ErrorCategory, clock: Clock) -> int:
        """Return what a failure weighs."""
        return self.rules.weights[category._value_]

    def _result_weight(self, value: object) -> int:
        """Return what a result weighs: as much as a failure where `failure_if` takes it for one."""
        judge = self.rules.failure_if
        assert judge is not None
        try:
            return 1 if call_hook(judge, judge, value) else SUCCESS
        except Exception as error:
            report_trouble("failure_if", judge, error)
            return SUCCESS

    def ended(self, state: Any, began: float, clock: Clock) -> None:
        if state is INNER:
            return
        transition = self.record_success(state, began, clock)
        if transition is not None and listened():
            emit(self.event(self.name, transition))

    def status(self, call: Call) -> str:
        state = self.state
        if isinstance(state, Open):
            left = state.until - call.clock.now()
            until = "until it is reset" if left == math.inf else f"next probe in {max(left, 0.0):.3g} s"
            return f"circuit {self.name!r} open, {until}"
        if isinstance(state, HalfOpen):
            return f"circuit {self.name!r} half-open"
        failures = state.consecutive_failures
        return f"circuit {self.name!r} closed" + (f", {failures} failures in a row" if failures else "")

    def counts(self, error: Exception) -> bool:
        """Whether *error* is a failure to this circuit."""
        return self.rules.weights[classify(error)._value_] > 0

    # -- calls within calls --------------------------------------------------------------------------------------

    def _is_inner(self) -> bool:
        """Whether the running code belongs to a call that the present state admitted, or is local to its class.

        After a transition the new state decides about inner calls: a long call must not keep on calling through a
        circuit that has opened.
        """
        for running in admitted_here():
            by = running.by
            if (
                by is self.state
                or by is self.methods
                or (isinstance(by, ProbePermit) and self.is_leased(by, current_clock()))
            ):
                return True
        return False

    @property
    def nests(self) -> bool:
        return self.methods.guards_class

    @property
    def state_here(self) -> Admission:
        return INNER if admitted_here() and self._is_inner() else self.state

    enter: staticmethod[[object], Admitted] = staticmethod(enter)
    leave: staticmethod[[Admitted], None] = staticmethod(leave)

    # -- rejecting -----------------------------------------------------------------------------------------------

    def reject_if_open(self, clock: Clock) -> CircuitOpenError | None:
        state = self.state
        if not isinstance(state, Open) or self.observers or listened() or self.mode is _SHADOW:
            return None
        if DISABLED.used and DISABLED.is_on():  # a driver sees to that
            return None
        now = clock.now()
        return self._rejection(state, state.until - now) if state.opened_at <= now < state.until else None

    def _rejection(self, state: State, left: float) -> CircuitOpenError:
        # Not through its __init__, which does the same: while a dependency is down, every call pays for it.
        kind = state.__class__
        return CircuitOpenError.__new__(
            CircuitOpenError,
            self.name,
            left,
            state.failures,
            state.last_error_type,
            state.last_category,
            kind is HalfOpen,
            kind is Closed,
        )

    # -- listeners and events ------------------------------------------------------------------------------------

    def _notify_result(
        self, call: Call, outcome: Outcome, weight: int, transition: Transition | None, counted: bool
    ) -> Steps[None]:
        if weight == SUCCESS:
            yield from self._notify("succeeded", counted)
        elif weight != IGNORED:
            yield from self._notify("failed", outcome.error, weight, counted)
        if transition is not None:
            yield from self._notify_transition(call, transition)

    def _notify(self, what: str, *arguments: object) -> Steps[None]:
        for observer in self.observers:
            method = getattr(observer, what)
            yield Run(method, *arguments, role="circuit listener", hook=observer.hook(what), blocking=observer.blocking)

    def _notify_transition(self, call: Call, transition: Transition) -> Steps[None]:
        yield from self._notify("changed", *transition)
        if listened():
            yield Emit(self.event(call.target, transition))

    def _rejected(self, call: Call, error: CircuitOpenError, shadow: bool) -> CallRejected:
        from resilience.events import CallRejected

        return CallRejected(target=call.target, policy=self.name, retry_after=error.retry_after, shadow=shadow)

    def event(self, target: str, transition: Transition) -> CircuitOpened | CircuitHalfOpened | CircuitClosed:
        """Return the event of a transition."""
        from resilience.events import CircuitClosed, CircuitHalfOpened, CircuitOpened

        state = transition[1]
        if isinstance(state, Open):
            return CircuitOpened(
                target=target,
                policy=self.name,
                failures=state.failures,
                retry_after=state.until - state.opened_at,
                category=state.last_category,
            )
        kind = CircuitHalfOpened if isinstance(state, HalfOpen) else CircuitClosed
        return kind(target=target, policy=self.name)

    def mode_event(self, target: str) -> CircuitModeChanged:
        """Return the event of a change of mode."""
        from resilience.events import CircuitModeChanged

        return CircuitModeChanged(target=target, policy=self.name, mode=self.mode.value)

    def __str__(self) -> str:
        return f"circuit_breaker({', '.join([repr(self.name), *self.rules.non_default_options()])})"


def _server_backoff(error: Exception) -> float | None:
    """Return for how many seconds the server asks all callers to stay away, where it says so with *error*."""
    asked = retry_after(error)
    return asked if asked is not None and 0 < asked < math.inf else None
