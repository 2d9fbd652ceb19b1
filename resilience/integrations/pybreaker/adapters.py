"""pybreaker's listeners and storages as observers of a circuit.

A circuit notifies `CircuitObserver` objects of every call and transition, and knows nothing of pybreaker. Here are the
two kinds: `ListenerAdapter` passes notifications on, `StorageObserver` keeps the circuit and a shared store in step.
"""

from __future__ import annotations

from typing import Protocol, TypeVar, cast

import pybreaker

from resilience._runtime.protocol import Call
from resilience.classification.classifier import classify
from resilience.clock import current_clock
from resilience.integrations.pybreaker.storage import NEVER, StoredState, store_of
from resilience.integrations.pybreaker.storage_executor import Operation
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.circuit_states import CircuitMode, CircuitObserver, CircuitState, Closed, Open, State

__all__ = ["ListenerAdapter", "StorageObserver"]

T = TypeVar("T")

# The most seconds by which a circuit keeps others away beyond its reset_timeout. A date in the store that lies much
# further ahead comes from a clock that is wrong.
_MAX_EXTENSION = 86_400.0

_NORMAL = CircuitMode.NORMAL

# What pybreaker calls the notifications.
_HOOKS = {"admitted": "before_call", "failed": "failure", "succeeded": "success", "changed": "state_change"}


class ListenerAdapter(CircuitObserver):
    """Passes notifications on to a `pybreaker.CircuitBreakerListener`.

    The listener is given the public breaker, as by pybreaker itself, and states that have pybreaker's names. Its
    methods may be async where the guarded call is. It is notified of late outcomes, too; not of `restarted`, for which
    pybreaker has no method.
    """

    blocking = False

    def __init__(self, breaker: pybreaker.CircuitBreaker, listener: pybreaker.CircuitBreakerListener) -> None:
        self._breaker = breaker
        self._listener = listener
        self._hooks = cast("_Hooks", listener)

    def hook(self, what: str) -> object:
        return getattr(self._listener, _HOOKS.get(what, what), self._listener)

    def before_call(self, call: Call) -> None:
        """Do nothing: pybreaker's ``before_call`` is for calls that are admitted."""

    def admitted(self, call: Call) -> object:
        return self._hooks.before_call(self._breaker, call.function, *call.arguments, **call.keywords)

    def failed(self, error: Exception | None, weight: int, counted: bool) -> object:
        """Pass a failure on. For a result that ``failure_if`` takes for one, that is a RuntimeError which says so."""
        if error is None:  # not one to raise: nothing of the result is in it
            error = RuntimeError(f"circuit {self._breaker.name!r}: failure_if says that a call's result is a failure")
        return self._hooks.failure(self._breaker, error)

    def succeeded(self, counted: bool) -> object:
        return self._hooks.success(self._breaker)

    def changed(self, old: State, new: State) -> object:
        return self._hooks.state_change(self._breaker, old, new)

    def restarted(self) -> None:
        """Do nothing: pybreaker has no such notification."""


class _Hooks(Protocol):
    """A listener's methods: those that are async return what is to be awaited."""

    def before_call(self, cb: object, func: object, /, *args: object, **kwargs: object) -> object: ...

    def failure(self, cb: object, exc: Exception, /) -> object: ...

    def success(self, cb: object, /) -> object: ...

    def state_change(self, cb: object, old_state: object, new_state: object, /) -> object: ...


class StorageObserver(CircuitObserver):
    """Keeps a circuit and a `pybreaker.CircuitBreakerStorage` in step, and by that the circuits of several processes.

    Before each call the circuit goes where the store says; its own transitions and failures are written. The circuit
    that opened last decides.

    Shared are the state; when the circuit opened and for how long, Retry-After and growth included, in whole seconds;
    and the failures in a row, by weight: together the processes reach *failure_threshold*. Each process has its own
    probes, so that *probes* is their number in each, and the successes of these; rates and slow calls; ramp-up and
    modes; and which opening in a row this is. The clocks of the hosts have to agree. A circuit that is made while the
    others are open opens at once, and notifies its listeners before it is returned.

    A storage that is not pybreaker's in memory is asked in a thread of the toolkit: it must not be bound to the thread
    that made it. Its ``fallback_circuit_state`` is not used.

    A store that cannot be reached, or hangs, is set aside and the circuit goes on by itself (`StorageExecutor`). Its
    state is written when the store is back, unless another circuit opened later. A store that has lost its contents
    changes no circuit: an open circuit is written to it again. A circuit whose mode is not normal reads and writes
    nothing.
    """

    def __init__(self, circuit: CircuitBreakerPolicy, storage: pybreaker.CircuitBreakerStorage) -> None:
        self._circuit = circuit
        self._store = store_of(storage)
        self.blocking: bool = self._store.executor.blocking
        #: The state of the circuit that was written last, or that follows what was read. Another one is to be written.
        self._written: State = circuit.state
        #: When the circuit opened last, as the store keeps it: seconds since 1970.
        self._opened_at: float = NEVER
        #: Whether failures may be counted in the store, which a success sets to 0.
        self._failures = False

    def hook(self, what: str) -> object:
        return self._store.storage

    # -- notifications -------------------------------------------------------------------------------------------------

    def before_call(self, call: Call) -> None:
        self.sync_from_storage()

    def admitted(self, call: Call) -> None:
        """Do nothing: a call that runs changes nothing in the store."""

    def failed(self, error: Exception | None, weight: int, counted: bool) -> None:
        """Count the failure in the store, and open the circuit when those of all processes are too many."""
        failures = None
        if counted:
            failures = self._run(self._store.add_failures(weight))
        if failures is not None:
            self._failures = True
            self._trip_if_too_many(error, failures)

    def succeeded(self, counted: bool) -> None:
        """Start the count in the store again. Where none has failed since, nothing has to be written."""
        if counted and self._failures and self._run(self._store.reset_failures()):
            self._failures = False

    def changed(self, old: State, new: State) -> None:
        self._write(new)

    def restarted(self) -> None:
        self._write(self._circuit.state)

    # -- from the store to the circuit ---------------------------------------------------------------------------------

    def sync_from_storage(self) -> None:
        """Go where the store says the circuit is, or write where it is when the store does not know.

        ====================================================  ===================================================
        the store                                             the circuit
        ====================================================  ===================================================
        cannot be read, or holds a state of unknown name      goes on by itself
        holds no state, or has lost when this one opened      is written, unless it is closed
        is behind: an own transition could not be written     is written, unless another circuit has opened since
        says closed or half-open                              is that, too
        says open, and the circuit is not                     opens for the time left; is half-open when none is
        says open since a later time than the circuit is      stays open for longer
        ====================================================  ===================================================
        """
        own = self._circuit.state
        seen = self._read(own)
        if seen is None:
            return
        self._failures = seen.failures > 0
        to_write = own is not self._written
        newer = self._is_newer(seen)
        if seen.kind is None or self._is_lost(seen, own) or (to_write and not newer):
            if to_write or not isinstance(own, Closed):
                self._write(own)
            return
        if newer:
            self._opened_at = seen.opened_at
        if seen.kind is not CircuitState.OPEN:
            self._follow(seen.kind)
        elif not isinstance(own, Open):
            self._follow_open(self._seconds_left(seen))
        elif newer:  # a probe of another process failed
            own.until = max(own.until, current_clock().now() + self._seconds_left(seen))
            self._written = own

    def _read(self, own: State) -> StoredState | None:
        """Return what the store holds; None where that says nothing."""
        seen = self._run(self._store.read())
        if seen is None or self._circuit.state is not own:  # it has changed meanwhile: the next call reads again
            return None
        if seen.kind is None and not seen.empty:  # a state whose name is not known
            return None
        return seen

    def _is_newer(self, seen: StoredState) -> bool:
        """Whether another circuit has opened since this one did."""
        return seen.opened_at > self._opened_at

    def _is_lost(self, seen: StoredState, own: State) -> bool:
        """Whether the store has forgotten when this circuit opened: it was flushed, or restored from an old copy."""
        return not isinstance(own, Closed) and seen.opened_at < self._opened_at

    def _seconds_left(self, seen: StoredState) -> float:
        """Return for how many seconds the circuit stays open by what the store holds."""
        reset, now = self._circuit.config.reset_seconds, current_clock().wall()
        if NEVER < seen.opened_at <= now + 2 * _MAX_EXTENSION:
            return seen.opened_at + reset - now
        return reset

    def _follow_open(self, left: float) -> None:
        """Open for *left* seconds. Where they have passed, others may probe already: then be half-open."""
        if left > 0:
            self._follow(CircuitState.OPEN, left)
        else:
            self._follow(CircuitState.HALF_OPEN)

    def _follow(self, kind: CircuitState, left: float = 0.0) -> None:
        """Go to *kind*, open for *left* seconds, and notify all observers but this one."""
        circuit, clock, transition = self._circuit, current_clock(), None
        if circuit.state.kind is not kind:
            transition = circuit.transition_to(kind, clock)
        if transition is None:
            self._written = circuit.state
            return
        new = self._written = transition[1]
        if isinstance(new, Open):
            now = clock.now()
            ago = max(circuit.config.reset_seconds - left, 0.0)
            new.opened_at, new.until = now - ago, now + left
            circuit.since -= ago
        circuit.announce(transition, [observer for observer in circuit.observers if observer is not self])

    def _trip_if_too_many(self, error: Exception | None, failures: int) -> None:
        """Open a closed circuit because of *error*, where the failures of all processes reach the threshold."""
        circuit, clock, error_type, category = self._circuit, current_clock(), None, None
        if failures < circuit.config.trip_failures or not isinstance(circuit.state, Closed):
            return
        if error is not None:
            error_type, category = type(error).__name__, classify(error)
        transition = circuit.trip(failures, clock, error_type, category)
        if transition is not None:
            circuit.announce(transition, circuit.observers)

    # -- from the circuit to the store ---------------------------------------------------------------------------------

    def _write(self, state: State) -> None:
        """Write *state*. When the store cannot be written, the next call tries again."""
        if self._circuit.mode is not _NORMAL:
            return
        if isinstance(state, Closed):
            self._write_closed(state)
            return
        if isinstance(state, Open):
            self._opened_at = self._stored_opening(state)
        seen = self._run(self._store.write(state.name, self._opened_at))
        if seen is None:
            return
        self._written = state
        if self._opened_at == NEVER or not self._is_newer(seen):  # a later one is another circuit's: to be followed
            self._opened_at = seen.opened_at

    def _write_closed(self, state: Closed) -> None:
        if self._run(self._store.write_closed()):
            self._failures = False
            self._written = state

    def _stored_opening(self, state: Open) -> float:
        """Return when *state* is to have opened for those that read the store, which add their *reset_timeout* to it.

        Where it stays open for another time (a Retry-After, a growing one) that is such that the sum is right.
        """
        clock, reset = current_clock(), self._circuit.config.reset_seconds
        opened_at = clock.wall() + min(state.until - clock.now() - reset, _MAX_EXTENSION)
        # Down, as pybreaker does; but a dependency that asked for 30 s is not called after 29.
        up = state.until - state.opened_at > reset + 0.001  # else it is how numbers are rounded
        return self._store.rounded(opened_at, up=up)

    def _run(self, operation: Operation[T]) -> T | None:
        """Return the answer of the store; None where it is set aside, and while the circuit's mode is not normal."""
        if self._circuit.mode is not _NORMAL:
            return None
        return self._store.executor.run(operation, self._circuit.name)
