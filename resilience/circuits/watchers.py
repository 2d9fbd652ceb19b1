"""Who is told everything about a circuit: pybreaker's listeners and storages, adapted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import pybreaker

from resilience._runtime.protocol import Call
from resilience.circuits.asking import Question
from resilience.circuits.store import KINDS, store_of
from resilience.clock import current_clock
from resilience.policies.circuit_states import CircuitMode, CircuitObserver, CircuitState, Closed, Open, State

if TYPE_CHECKING:
    from resilience.circuits.breaker import CircuitBreaker

__all__ = ["KINDS", "Listener", "SharedState"]

T = TypeVar("T")

# How much longer than its reset_timeout a circuit keeps others away. What lies much further ahead in the store comes
# from a clock that is wrong.
_LONGEST = 86_400.0

# What pybreaker calls what a watcher is told.
_HOOKS = {"admitted": "before_call", "failed": "failure", "succeeded": "success", "changed": "state_change"}


class Listener(CircuitObserver):
    """A listener of pybreaker's."""

    blocking = False

    def __init__(self, breaker: CircuitBreaker, listener: pybreaker.CircuitBreakerListener) -> None:
        self._breaker = breaker
        self._listener = listener
        self._hooks = cast("_Hooks", listener)

    def hook(self, what: str) -> object:
        return getattr(self._listener, _HOOKS.get(what, what), self._listener)

    def before_call(self, call: Call) -> None:
        pass

    def admitted(self, call: Call) -> object:
        return self._hooks.before_call(self._breaker, call.function, *call.arguments, **call.keywords)

    def failed(self, error: Exception | None, weight: int, counted: bool) -> object:
        if error is None:  # not one to raise: nothing of the result is in it
            error = RuntimeError(f"circuit {self._breaker.name!r}: failure_if says that a call's result is a failure")
        return self._hooks.failure(self._breaker, error)

    def succeeded(self, counted: bool) -> object:
        return self._hooks.success(self._breaker)

    def changed(self, old: State, new: State) -> object:
        return self._hooks.state_change(self._breaker, old, new)


class _Hooks(Protocol):
    """A listener's methods: those that are async return what is to be awaited."""

    def before_call(self, cb: object, func: object, /, *args: object, **kwargs: object) -> object: ...

    def failure(self, cb: object, exc: Exception, /) -> object: ...

    def success(self, cb: object, /) -> object: ...

    def state_change(self, cb: object, old_state: object, new_state: object, /) -> object: ...


class SharedState(CircuitObserver):
    """A storage of pybreaker's: what it holds, others see; what others wrote, this circuit follows.

    A store that cannot be reached, or hangs, is set aside and the circuit goes on by itself, see `Asker`. What it came
    to meanwhile is written when the store is back, unless another circuit opened later. A store that has lost its
    memory changes no circuit: what is open is written to it again. A circuit whose mode is not normal has a life of
    its own.
    """

    def __init__(self, breaker: CircuitBreaker, storage: pybreaker.CircuitBreakerStorage) -> None:
        self._breaker = breaker
        self._store = store_of(storage)
        self.blocking: bool = self._store.asker.blocking
        #: The state of the circuit that was written last, or that follows what was read. Another one is to be written.
        self._written: State = breaker.circuit.state
        #: When the circuit opened last, as the store keeps it: seconds since 1970.
        self._opened_at: float | None = None
        #: Whether failures may be counted in the store, which a success sets to 0.
        self._failures = False

    def hook(self, what: str) -> object:
        return self._store.storage

    def before_call(self, call: Call) -> None:
        self.follow()

    def follow(self) -> None:
        """Go where the store says the circuit is."""
        circuit = self._breaker.circuit
        if circuit.mode is not CircuitMode.NORMAL:
            return
        own = circuit.state
        seen = self._ask(self._store.read())
        if seen is None or circuit.state is not own:  # it has changed meanwhile: the next call asks again
            return
        if seen.kind is None and not seen.empty:
            return
        self._failures = seen.failures > 0
        at, known = seen.opened_at, self._opened_at
        newer = at is not None and (known is None or at > known)
        lost = not isinstance(own, Closed) and known is not None and (at is None or at < known)
        to_write = own is not self._written
        if seen.kind is None or lost or (to_write and not newer):
            if to_write or not isinstance(own, Closed):
                self._write(own)
            return
        if newer:
            self._opened_at = at
        if seen.kind is CircuitState.OPEN:
            self._follow_open(own, at, newer=newer)
        else:
            self._adopt(seen.kind)

    def _follow_open(self, own: State, at: float | None, *, newer: bool) -> None:
        left = self._left(at)
        if isinstance(own, Open):
            if newer:  # a probe of another process failed
                self._breaker.extend(left)
                self._written = own
        elif left > 0:
            self._adopt(CircuitState.OPEN, left)
        else:  # it is over, and others may probe already
            self._adopt(CircuitState.HALF_OPEN)

    def _left(self, at: float | None) -> float:
        """Return for how many seconds what opened then stays open."""
        reset, now = self._breaker.reset_timeout, current_clock().wall()
        return reset if at is None or at > now + 2 * _LONGEST else at + reset - now

    def _adopt(self, kind: CircuitState, left: float = 0.0) -> None:
        self._written = self._breaker.adopt(kind, left)

    def admitted(self, call: Call) -> None:
        pass

    def failed(self, error: Exception | None, weight: int, counted: bool) -> None:
        if not counted or self._breaker.mode is not CircuitMode.NORMAL:
            return
        failures = self._ask(self._store.add_failures(weight))
        if failures is None:
            return
        self._failures = True
        if failures >= self._breaker.fail_max and self._breaker.circuit_state is CircuitState.CLOSED:
            self._breaker.trip(error, failures)

    def succeeded(self, counted: bool) -> None:
        if not counted or not self._failures or self._breaker.mode is not CircuitMode.NORMAL:
            return
        if self._ask(self._store.reset_failures()):
            self._failures = False

    def changed(self, old: State, new: State) -> None:
        if self._breaker.mode is CircuitMode.NORMAL:
            self._write(new)

    def start_again(self) -> None:
        """The circuit is closed, with nothing recorded."""
        if self._breaker.mode is CircuitMode.NORMAL:
            self._write(self._breaker.state)

    def _write(self, state: State) -> None:
        if isinstance(state, Closed):
            if self._ask(self._store.write_closed()):
                self._failures = False
                self._written = state
            return
        if isinstance(state, Open):
            # pybreaker keeps when it opened, and each process adds its own reset_timeout. Where it stays open for
            # another time (a Retry-After, a growing one), what is written is such that the sum is right.
            clock, reset = current_clock(), self._breaker.reset_timeout
            opened_at = clock.wall() + min(state.until - clock.now() - reset, _LONGEST)
            # Down, as pybreaker does; but a dependency that asked for 30 s is not called after 29.
            up = state.until - state.opened_at > reset + 0.001  # else it is how numbers are rounded
            self._opened_at = self._store.rounded(opened_at, up=up)
        seen = self._ask(self._store.write(state.name, self._opened_at))
        if seen is None:
            return
        self._written = state
        at, known = seen.opened_at, self._opened_at
        if at is None or known is None or at < known:  # a later one is another circuit's: to be followed
            self._opened_at = at

    def _ask(self, question: Question[T]) -> T | None:
        return self._store.asker.ask(question, self._breaker.name)
