"""Stop calling what keeps failing, and find out when it is back: a circuit as calls meet it, and who is told."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

from resilience.classify.decide import category_of, classify
from resilience.classify.hint import retry_after
from resilience.clock import Clock, current_clock
from resilience.errors.circuit import CircuitOpenError
from resilience.outcome import Outcome
from resilience.policy.base import Admission, Call, Emit, Gate, Invoke, Policy, Steps, Telling
from resilience.policy.check import need
from resilience.policy.circuit_context import Admitted, admitted_here, enter, leave
from resilience.policy.class_methods import MethodSelection
from resilience.policy.machine import Machine
from resilience.policy.states import INNER, CircuitMode, Closed, HalfOpen, Open, Permit, State, Transition
from resilience.policy.trip import ANSWERED, NEUTRAL, Rules
from resilience.settings import DISABLED
from resilience.subscription import emit, listened
from resilience.trouble import call_hook, report_trouble

if TYPE_CHECKING:
    from resilience.events import CallRejected, CircuitClosed, CircuitHalfOpened, CircuitModeChanged, CircuitOpened

__all__ = ["Circuit"]

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_CALL = Telling.CALL
_SHADOW, _DISABLED = CircuitMode.SHADOW, CircuitMode.DISABLED


class Circuit(Machine, Policy):
    """A circuit as a policy: what it says to a call before it is made, and what its outcome means."""

    streams = True

    __slots__ = ("__weakref__", "face", "fast_path", "methods", "name")

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
        self.fast_path: bool = rules.failure_if is None  # else every result is looked at
        #: The public object, which a circuit that guards something keeps alive.
        self.face: object = None

    @property
    def gate(self) -> Gate:  # type: ignore[override]  # a circuit is its own gate
        return self

    # -- the call ------------------------------------------------------------------------------------------------

    def before(self, call: Call, at: int) -> Outcome | Steps[Outcome | None] | None:
        state = self.state
        if not state.quiet or self.methods.guards_class:
            if self._is_inner():
                call.held[at] = INNER
                return None
            if state.quiet:
                call.held[at] = (state, call.clock.now(), enter(state))
                return None
            refused = self.refuse(call.clock)
            return self._enter(call, at) if refused is None else Outcome(None, refused)
        call.held[at] = state if self.telling is not _CALL else (state, call.clock.now(), None)
        return None

    def after(self, call: Call, at: int, outcome: Outcome) -> Outcome | Steps[Outcome]:
        admitted: object = call.held.pop(at, None) or call.admission  # the happy path looked at the state for us
        began = 0.0
        if admitted.__class__ is tuple:
            admitted, began, inside = cast("tuple[object, float, Admitted | None]", admitted)
            if inside is not None:
                leave(inside)
        if admitted is INNER:
            return outcome
        error = outcome.error
        if error is not None:
            category = category_of(outcome)
            weight = self.rules.weights[category._value_]
            wanted = self.rules.open_for
            hold = _asked_for(error) if wanted is not None and category in wanted else None
            transition = self.settle(admitted, weight, call.clock, category, error, hold)
        else:
            weight = ANSWERED if self.fast_path else self._judge(outcome.value)
            if weight == ANSWERED and isinstance(admitted, Closed):
                transition = self.passed(admitted, began, call.clock)
            else:
                transition = self.settle(admitted, weight, call.clock)
        if (self.watchers and self.mode is not _DISABLED) or (transition is not None and listened()):
            counted = transition is not None or self.state is admitted  # else it comes late
            return self._tell_all(call, outcome, weight, transition, counted)
        return outcome

    def release(self, call: Call, at: int) -> None:
        held = call.held.pop(at, None)
        if held.__class__ is tuple:  # else it was let in without being asked for more
            admitted, _, inside = cast("tuple[object, float, Admitted | None]", held)
            self.give_back(admitted)
            if inside is not None:
                leave(inside)

    def ended(self, state: Any, began: float, clock: Clock) -> None:
        if state is INNER:
            return
        transition = self.passed(state, began, clock)
        if transition is not None and listened():
            emit(self.event(self.name, transition))

    def _judge(self, value: object) -> int:
        """Say what a result weighs: a failure as much as one."""
        judge = self.rules.failure_if
        assert judge is not None
        try:
            return 1 if call_hook(judge, judge, value) else ANSWERED
        except Exception as error:
            report_trouble("failure_if", judge, error)
            return ANSWERED

    def status(self, call: Call, at: int) -> str:
        state = self.state
        if isinstance(state, Open):
            left = state.until - call.clock.now()
            until = "until it is reset" if left == math.inf else f"next probe in {max(left, 0.0):.3g} s"
            return f"circuit {self.name!r} open, {until}"
        if isinstance(state, HalfOpen):
            return f"circuit {self.name!r} half-open"
        return f"circuit {self.name!r} closed" + (f", {state.in_a_row} failures in a row" if state.in_a_row else "")

    def counts(self, error: Exception) -> bool:
        """Whether *error* is a failure to this circuit."""
        return self.rules.weights[classify(error)._value_] > 0

    # -- calls within calls --------------------------------------------------------------------------------------

    def _is_inner(self) -> bool:
        """Whether the running code belongs to a call that the present state admitted, or is local to its class.

        Once the state has changed, the calls within go by the new state: a long one must not hold out against an open
        circuit.
        """
        for running in admitted_here():
            by = running.by
            if (
                by is self.state
                or by is self.methods
                or (isinstance(by, Permit) and self.is_leased(by, current_clock()))
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

    # -- who is not let in as a matter of course -----------------------------------------------------------------

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
                error = self._rejection(state, max(state.until - call.clock.now(), 0.0))
                if listened():
                    yield Emit(self._rejected(call, error, shadow))
                if not shadow:
                    return Outcome(None, error)
            yield from self._tell("admitted", call)
            entered = True
        finally:
            if not entered:  # cancelled while it was told: the probe is not on its way
                self.give_back(admitted)
        inside = None
        if isinstance(admitted, Permit) or (
            admitted is not None and (admitted.ramped is not None or self.methods.guards_class)
        ):
            inside = enter(admitted)
        call.held[at] = (admitted, call.clock.now(), inside)
        return None

    def refuse(self, clock: Clock) -> CircuitOpenError | None:
        state = self.state
        if not isinstance(state, Open) or self.watchers or listened() or self.mode is _SHADOW:
            return None
        if DISABLED.used and DISABLED.is_on():  # a driver sees to that
            return None
        now = clock.now()
        return self._rejection(state, state.until - now) if state.opened_at <= now < state.until else None

    def _rejection(self, state: State, left: float) -> CircuitOpenError:
        # Not through its __init__, which does the same: this is what every call costs while a dependency is down.
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

    # -- telling -------------------------------------------------------------------------------------------------

    def _tell_all(
        self, call: Call, outcome: Outcome, weight: int, transition: Transition | None, counted: bool
    ) -> Steps[Outcome]:
        if weight == ANSWERED:
            yield from self._tell("succeeded", counted)
        elif weight != NEUTRAL:
            yield from self._tell("failed", outcome.error, weight, counted)
        if transition is not None:
            yield from self._announce(call, transition)
        return outcome

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
                category=state.last_category,
            )
        kind = CircuitHalfOpened if isinstance(state, HalfOpen) else CircuitClosed
        return kind(target=target, policy=self.name)

    def mode_event(self, target: str) -> CircuitModeChanged:
        """Return what is told of a change of mode."""
        from resilience.events import CircuitModeChanged

        return CircuitModeChanged(target=target, policy=self.name, mode=self.mode.value)

    def __str__(self) -> str:
        return f"circuit_breaker({', '.join([repr(self.name), *self.rules.shown()])})"


def _asked_for(error: Exception) -> float | None:
    """Return how long a failure asks everybody to stay away."""
    asked = retry_after(error)
    return asked if asked is not None and 0 < asked < math.inf else None
