"""The circuit breaker as a policy: admits or rejects a call, records its outcome and notifies of it.

`CircuitBreakerPolicy` is a `CircuitStateMachine` that takes part in calls. The machine decides; the policy asks it for
admission before each call, has it record the outcome, and turns its transitions into events and notifications of
observers. It also keeps calls within calls apart: what a probe calls through the same circuit belongs to the probe.

`resilience.circuits` wraps it into the object that users hold.
"""

from __future__ import annotations

import contextvars
import functools
import math
import threading
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec

from resilience._callback_errors import call_hook, log_callback_error
from resilience._deadline_context import running_task
from resilience._listeners import emit, has_listeners
from resilience._outcome import Outcome
from resilience._runtime.circuit_context import Note, calls_here, enter, is_part_of, leave
from resilience._runtime.cut_off import AbandonWatch, CutOff, thread_limit_here
from resilience._runtime.method_selection import RequestMethods
from resilience._runtime.place import Place
from resilience._runtime.protocol import PROCEED, Admission, Call, Emit, Gate, Policy, Run, Steps, SuccessReporting
from resilience._runtime.thread_timeout import on_first_limit
from resilience.classification._parse_errors import is_garbage
from resilience.classification.classifier import category_of, classify
from resilience.classification.retry_hints import retry_after
from resilience.clock import Clock, current_clock
from resilience.errors.base import DeadlineExceededError
from resilience.errors.circuit import CircuitOpenError
from resilience.policies._circuit_breaker_config import IGNORED, SUCCESS, CircuitBreakerConfig
from resilience.policies._circuit_state_machine import CircuitStateMachine
from resilience.policies.circuit_states import (
    BY_RUNNER,
    INNER,
    CircuitMode,
    CircuitObserver,
    Closed,
    HalfOpen,
    Open,
    ProbePermit,
    State,
    Transition,
)
from resilience.settings import DISABLED

if TYPE_CHECKING:
    from resilience.categories import ErrorCategory
    from resilience.events import (
        CallRejected,
        CircuitClosed,
        CircuitHalfOpened,
        CircuitModeChanged,
        CircuitOpened,
        Event,
    )

__all__ = ["CircuitBreakerPolicy"]

P = ParamSpec("P")

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_CALL = SuccessReporting.CALL
_SHADOW, _DISABLED = CircuitMode.SHADOW, CircuitMode.DISABLED
_TIMED_OUT = CutOff.TIMED_OUT
_SLOW_PROBE = 1  # what a slow success weighs in a half-open circuit: as much as a failure, for it is no recovery


class CircuitBreakerPolicy(CircuitStateMachine, Policy):
    """A circuit breaker as a policy. Its state of one call are the local variables of `run`.

    **Fast path.** A call that succeeds at once needs no `run`. The wrapper of a guarded function looks at
    ``state.fast_path``, calls, and reports the success as `telling` says: by a mark or a number on the state, or by
    `ended`. While the circuit is open, it raises what `reject_if_open` returns. All other calls, and every failure, go
    through `run`.

    **Late outcomes.** A call records its outcome on what admitted it, a state or a `ProbePermit`. When the circuit has
    gone to another state since, the outcome changes nothing, but observers are notified of it all the same.

    **Calls within calls.** A probe, and the outermost call of a guarded class, are noted in the context
    (`circuit_context`) while they run. A call through the same circuit from within passes by `INNER` and decides
    nothing: a request that goes through several guarded methods is one success or one failure.

    **Calls cut off.** A call that an outer limit or deadline of the toolkit's cuts off is a failure: a time-out. One
    that is cancelled otherwise counts as slow once it is that, and for nothing before. Where a limit leaves the thread
    of a sync call, that is recorded at once, and what the thread comes back with is not.

    It never catches what a call raises, and never holds the lock while a call runs.
    """

    supports_generators = True
    place: Place | None = Place.CIRCUIT_BREAKER

    #: `state`, as wrappers read it: the slot itself; from the first call in a worker thread on `_AdmissionHere`.
    admission: ClassVar[Any] = CircuitStateMachine.state  # type: ignore[misc]  # a descriptor, on the class

    __slots__ = ("__weakref__", "fast_path", "methods", "name", "owner")

    def __init__(self, name: str, config: CircuitBreakerConfig, methods: RequestMethods | None = None) -> None:
        super().__init__(config)
        self.name: str = name
        #: Shared by the circuits of all keys or objects of one pattern.
        self.methods: RequestMethods = methods or RequestMethods(None, ())  # pyright: ignore[reportIncompatibleVariableOverride]  # it has one always
        self.fast_path: bool = config.failure_if is None  # else every result is judged
        #: The public `CircuitBreaker`, which a circuit that guards something keeps alive.
        self.owner: object = None

    @property
    def fast_path_gate(self) -> Gate:  # type: ignore[override]  # it has one always
        """The circuit itself: the wrapper looks at its state before the call."""
        return self  # pyright: ignore[reportReturnType]  # `admission` is a descriptor on the class

    # -- the call ------------------------------------------------------------------------------------------------

    def run(self, call: Call) -> Steps[Outcome]:
        """Admit *call* or reject it, and record its outcome on what admitted it: a state, or a probe's permit.

        A call that is cut off records what that says of the dependency, or gives its permit back.
        """
        admitted: Admission | ProbePermit | None = call.admission
        began = call.began
        running: Note | None = None
        watch: AbandonWatch | None = None
        if not call.admitted:  # else the wrapper has done what comes before the call
            admitted = state = self.state
            if not state.fast_path or self.methods.guards_class:
                answer = yield from self._admit(call)
                if isinstance(answer, Outcome):
                    return answer
                admitted, began = answer, call.clock.now()
                running = self._enter(admitted)
            elif self.telling is _CALL:
                began = call.clock.now()
            watch = self._watch(call, admitted, began)
        finished = recorded = False
        try:
            outcome: Outcome = yield PROCEED
            finished = True
        finally:
            if running is not None:
                self.leave(running)  # not by the module's name, which is gone when the interpreter ends
            recorded = watch is not None and not watch.end()
            if not finished:
                self._end_cut_off(call, admitted, began, recorded=recorded)
        if admitted is INNER or recorded:
            return outcome
        weight, transition = self._record_outcome(outcome, admitted, began, call.clock)
        if self.observers or (transition is not None and has_listeners()):
            counted = transition is not None or self.state is admitted  # else it is late
            yield from self._notify_result(call, outcome, weight, transition, counted)
        return outcome

    def _admit(self, call: Call) -> Steps[Admission | ProbePermit | Outcome | None]:
        """Return what admits *call*, which is None for one that a circuit in shadow would reject; or its rejection.

        Only for states that are not on the fast path, and for classes, whose methods call each other.
        """
        state = self.state
        if self._is_inner():
            return INNER
        if state.fast_path:
            return state
        rejection = self.reject_if_open(call.clock)
        if rejection is not None:
            return Outcome(None, rejection)
        return (yield from self._acquire(call))

    def _acquire(self, call: Call) -> Steps[Closed | ProbePermit | Outcome | None]:
        """Ask the state machine for admission, and notify observers and subscribers of it."""
        yield from self._notify("before_call", call)
        admitted, half_opened = self.acquire(call.clock)
        notified = False
        try:
            yield from self._notify_transition(call, half_opened)
            if admitted is None:
                shadow = self.mode is _SHADOW
                state = self.state
                left = max(state.until - call.clock.now(), 0.0)
                error = self._rejection(state, left, state.probing, state.selective)
                yield from self._emit(self._rejected, call, error, shadow)
                if not shadow:
                    return Outcome(None, error)
            yield from self._notify("admitted", call)
            notified = True
        finally:
            if not notified:  # cancelled meanwhile: the probe is not made
                self.release(admitted)
        return admitted

    def _enter(self, admitted: Admission | ProbePermit | None) -> Note | None:
        """Note that a call runs, where calls through this circuit from within it belong to it.

        To a plain closed circuit each call is one of its own, and there is nothing to note.
        """
        if isinstance(admitted, Closed) and not (self.methods.guards_class or admitted.selective):
            return None
        return enter(admitted)

    def _record_outcome(
        self, outcome: Outcome, admitted: Admission | ProbePermit | None, began: float, clock: Clock
    ) -> tuple[int, Transition | None]:
        """Record *outcome*; return what it weighs, and the transition it caused."""
        if self.methods.guards_class and self._is_part_of_a_call(admitted, outcome):
            return IGNORED, None
        error, config = outcome.error, self.config
        if error is None:
            weight = SUCCESS
            if config.failure_if is not None:
                weight = self._result_weight(config.failure_if, outcome.value)
            if weight == SUCCESS and isinstance(admitted, Closed):
                return weight, self.record_success(admitted, began, clock)
            if weight == SUCCESS and clock.now() - began >= config.slow_seconds:
                weight = _SLOW_PROBE
            return weight, self.record(admitted, weight, clock)
        category = category_of(outcome)
        weight = self._error_weight(error, category, clock)
        open_for = None
        if category._value_ & config.server_backoff:
            open_for = _server_backoff(error)
        return weight, self.record(admitted, weight, clock, category, error, open_for)

    def _watch(self, call: Call, admitted: Admission | ProbePermit | None, began: float) -> AbandonWatch | None:
        """Have a time-out recorded where a limit leaves the thread of *call*; None where none can."""
        if admitted is INNER or thread_limit_here() is None:
            return None
        return call.on_abandoned(functools.partial(self._record_cut_off, call, admitted, began, _TIMED_OUT))

    def _end_cut_off(
        self, call: Call, admitted: Admission | ProbePermit | None, began: float, *, recorded: bool
    ) -> None:
        """End a call without an outcome. While the interpreter ends, the names of this module are gone."""
        if call.cut_off is None:
            self.release(admitted)
        elif admitted is not INNER and not recorded:
            self._record_cut_off(call, admitted, began, call.cut_off)

    def _record_cut_off(
        self, call: Call, admitted: Admission | ProbePermit | None, began: float, cut_off: CutOff
    ) -> None:
        """Record a call that was cut off, as a time-out, as a slow call, or not at all.

        It runs where the call is closed, or in the thread of a caller that leaves: it can wait for nothing.
        """
        outcome, clock = Outcome(None, DeadlineExceededError(call.target)), call.clock
        if cut_off is _TIMED_OUT:
            weight, transition = self._record_outcome(outcome, admitted, began, clock)
        elif clock.now() - began < self.config.slow_seconds:
            self.release(admitted)
            return
        elif isinstance(admitted, Closed):
            weight, transition = IGNORED, None
            if not (self.methods.guards_class and self._is_part_of_a_call(admitted, outcome)):
                transition = self.record_slow(admitted, clock)
        else:
            weight = _SLOW_PROBE
            transition = self.record(admitted, weight, clock)
        if transition is not None or (self.observers and self.mode is not _DISABLED):
            counted = transition is not None or self.state is admitted
            self._notify_cut_off(call, outcome.error, weight, transition, counted)

    def _notify_cut_off(
        self, call: Call, error: Exception | None, weight: int, transition: Transition | None, counted: bool
    ) -> None:
        """Notify observers and subscribers of a call that was cut off. Those that do I/O do not block an event loop."""

        def notify() -> None:
            if weight > SUCCESS:
                self.notify(self.observers, "failed", error, weight, counted)
            if transition is not None:
                self.notify(self.observers, "changed", *transition)

        if running_task() is not None and any(observer.blocking for observer in self.observers):
            threading.Thread(target=contextvars.copy_context().run, args=(notify,), daemon=True).start()
        else:
            notify()
        if transition is not None and has_listeners():
            emit(self.event(call.target, transition))

    def _error_weight(self, error: Exception, category: ErrorCategory, clock: Clock) -> int:
        """Return what a failure weighs: by its category, unless a subclass counts other things.

        An answer that cannot be read is no proof that the dependency works: it is no success of a probe.
        """
        weight = self.config.weights[category._value_]
        return IGNORED if weight == SUCCESS and is_garbage(error) else weight

    def _result_weight(self, judge: Callable[..., object], value: object) -> int:
        """Return what a result weighs: as much as a failure where *judge*, the option ``failure_if``, says so.

        An error of *judge* is logged once, and the result counts as a success.
        """
        try:
            return int(bool(call_hook(judge, judge, value)))
        except Exception as error:
            log_callback_error("failure_if", judge, error)
            return SUCCESS

    def ended(self, state: Any, began: float, clock: Clock) -> None:
        """Record a success of a call on the fast path, which *state* admitted and which *began* then."""
        if state is INNER:
            return
        transition = self.record_success(state, began, clock)
        if transition is not None:
            self.announce(transition, ())

    def status(self, call: Call) -> str:
        """Return name and state in words, for the note of a failed call."""
        return f"circuit {self.name!r} {self.state.status(call.clock)}"

    def counts(self, error: Exception) -> bool:
        """Whether *error* is a failure to this circuit."""
        return self.config.weights[classify(error)._value_] > 0

    # -- calls within calls --------------------------------------------------------------------------------------

    def _is_inner(self) -> bool:
        """Whether the running code belongs to a call that the present state admitted, or is local to its class.

        After a transition the new state decides about inner calls: a long call must not keep on calling through a
        circuit that has opened.
        """
        return any(self._stands_for(call[0]) for call in calls_here())

    def _stands_for(self, by: object) -> bool:
        """Whether a call admitted *by* that still stands for this circuit; one by a share while that is not all."""
        if isinstance(by, ProbePermit):
            return self.is_leased(by, current_clock())
        state = self.state
        if by is state:
            return state.selective or self.methods.guards_class
        return by is self.methods

    def _is_part_of_a_call(self, admitted: Admission | ProbePermit | None, outcome: Outcome) -> bool:
        """Whether a call of a guarded class belongs to another one, where that matters to its *outcome*.

        A success changes nothing while the circuit is quiet. A probe is never a part: what it calls is `INNER`.
        """
        if not isinstance(admitted, Closed) or (admitted.quiet and outcome.error is None):
            return False
        return self._belongs_to_another(admitted)

    def _belongs_to_another(self, admitted: Closed) -> bool:
        """Whether a call that has ended belongs to another one that *admitted* has admitted too.

        While a circuit is quiet, nothing of the kind is asked when a call begins.
        """
        return is_part_of(admitted)

    def succeeded(self, state: Any) -> None:
        """Record a success of a call that *state* admitted on the fast path, unless it belongs to another one."""
        if not self._belongs_to_another(state):
            with self._lock:
                state.start_anew()

    @property
    def nests(self) -> bool:
        """Whether it guards a class. Then the wrapper looks at `state_here`, unless the state is quiet."""
        return self.methods.guards_class

    @property
    def state_here(self) -> Admission:
        """The present state; `INNER` within a call through this circuit, whatever the state."""
        if calls_here() and self._is_inner():
            return INNER
        here: Admission = self.admission
        return here

    leave: staticmethod[[Note], None] = staticmethod(leave)

    # -- rejecting -----------------------------------------------------------------------------------------------

    def reject_if_open(self, clock: Clock) -> CircuitOpenError | None:
        """Return the error of a call that an open circuit certainly rejects. It takes no lock.

        None where the call has to go through `run`: the circuit is not open or its time is over, or the rejection is
        to be notified of.
        """
        state = self.state
        if not isinstance(state, Open) or self.observers or has_listeners() or self.mode is _SHADOW:
            return None
        if DISABLED.active_count and DISABLED.is_on():  # the runner sees to that
            return None
        now = clock.now()
        if state.opened_at <= now < state.until:
            return self._rejection(state, state.until - now)
        return None

    def rejects_for(self, call: Call) -> float:
        """Return for how many seconds it stays open, unless the call is a part of one that it has admitted."""
        state, now = self.state, call.clock.now()
        if not isinstance(state, Open) or self.mode is _SHADOW or state.opened_at > now or self._is_inner():
            return 0.0
        return max(state.until - now, 0.0)

    def _rejection(self, state: State, left: float, probing: bool = False, ramping: bool = False) -> CircuitOpenError:
        """Return the error of a rejected call; the next call may be admitted in *left* seconds."""
        # Not through its __init__, which does the same: while a dependency is down, every call pays for it.
        return CircuitOpenError.__new__(
            CircuitOpenError,
            self.name,
            left,
            state.failures,
            state.last_error_type,
            state.last_category,
            probing,
            ramping,
            0.0,
        )

    # -- observers and events: in a call -------------------------------------------------------------------------

    def _notify_result(
        self, call: Call, outcome: Outcome, weight: int, transition: Transition | None, counted: bool
    ) -> Steps[None]:
        """Notify observers and subscribers of the outcome of a call, and of the *transition* it has caused.

        A circuit that is disabled records nothing, and notifies of nothing.
        """
        if self.mode is _DISABLED:
            return
        if weight == SUCCESS:
            yield from self._notify("succeeded", counted)
        elif weight != IGNORED:
            yield from self._notify("failed", outcome.error, weight, counted)
        yield from self._notify_transition(call, transition)

    def _notify(self, what: str, *arguments: object) -> Steps[None]:
        """Call the method *what* of all observers, which may be async where the call is."""
        yield from _notifications(self.observers, what, arguments)

    def _notify_transition(self, call: Call, transition: Transition | None) -> Steps[None]:
        """Notify observers and subscribers of a transition that *call* has made, if it has."""
        if transition is None:
            return
        yield from self._notify("changed", *transition)
        yield from self._emit(self.event, call.target, transition)

    def _emit(self, make: Callable[P, Event], *args: P.args, **kwargs: P.kwargs) -> Steps[None]:
        """Emit an event. It is made only where it has subscribers."""
        if has_listeners():
            yield Emit(make(*args, **kwargs))

    # -- observers and events: where no call is made -------------------------------------------------------------

    def announce(self, transition: Transition, observers: Sequence[CircuitObserver]) -> None:
        """Notify *observers* and subscribers of a transition that no call has made."""
        self.notify(observers, "changed", *transition)
        if has_listeners():
            emit(self.event(self.name, transition))

    def announce_restart(self) -> None:
        """Notify observers that a circuit that was closed starts again by hand, with nothing recorded."""
        self.notify(self.observers, "restarted")

    def notify(self, observers: Sequence[CircuitObserver], what: str, *arguments: object) -> None:
        """Call the method *what* of *observers*, one after the other. An error that one raises is logged once."""
        for effect in _notifications(observers, what, arguments):
            try:
                call_hook(effect.runs, effect.function, *effect.arguments)
            except Exception as error:
                log_callback_error("circuit listener", effect.hook, error)

    def event(self, target: str, transition: Transition) -> CircuitOpened | CircuitHalfOpened | CircuitClosed:
        """Return the event of a transition."""
        from resilience.events import CircuitClosed, CircuitHalfOpened, CircuitOpened

        state = transition[1]
        if isinstance(state, HalfOpen):
            return CircuitHalfOpened(target=target, policy=self.name)
        if isinstance(state, Closed):
            return CircuitClosed(target=target, policy=self.name)
        return CircuitOpened(
            target=target,
            policy=self.name,
            failures=state.failures,
            retry_after=state.until - state.opened_at,
            category=state.last_category,
        )

    def mode_event(self, target: str) -> CircuitModeChanged:
        """Return the event of a change of mode."""
        from resilience.events import CircuitModeChanged

        return CircuitModeChanged(target=target, policy=self.name, mode=self.mode.value)

    def _rejected(self, call: Call, error: CircuitOpenError, shadow: bool) -> CallRejected:
        from resilience.events import CallRejected

        return CallRejected(target=call.target, policy=self.name, retry_after=error.retry_after, shadow=shadow)

    # -- a share that is shed ------------------------------------------------------------------------------------

    def shed_share(self, now: float) -> float | None:
        """Return the share of calls that a partial circuit rejects *now*; None: this circuit is none."""
        return None

    def __str__(self) -> str:
        return f"circuit_breaker({', '.join([repr(self.name), *self.config.non_default_options()])})"


class _AdmissionHere:
    """The present state of a circuit; within a call in a worker thread one that is not on the fast path."""

    def __get__(self, circuit: CircuitBreakerPolicy, owner: object = None) -> Admission:
        if thread_limit_here() is None:
            return circuit.state
        return BY_RUNNER


def _look_for_thread_limits() -> None:
    """Have wrappers ask for each call whether it is in a worker thread: from the first such call of a process on."""
    CircuitBreakerPolicy.admission = _AdmissionHere()


on_first_limit.append(_look_for_thread_limits)


def _notifications(
    observers: Sequence[CircuitObserver], what: str, arguments: tuple[object, ...]
) -> Generator[Run, object, None]:
    """Yield an effect for each of *observers*: a call of its method *what*."""
    for observer in observers:
        method, hook = getattr(observer, what), observer.hook(what)
        yield Run(method, *arguments, role="circuit listener", hook=hook, blocking=observer.blocking)


def _server_backoff(error: Exception) -> float | None:
    """Return for how many seconds the server asks all callers to stay away, where it says so with *error*."""
    asked = retry_after(error)
    if asked is not None and 0 < asked < math.inf:
        return asked
    return None
