"""Who is told everything about a circuit: pybreaker's listeners and storages, adapted."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, cast

import pybreaker

from resilience.clock import current_clock
from resilience.policy.base import Call
from resilience.policy.states import CircuitState, Closed, Open, State, Watcher

if TYPE_CHECKING:
    from resilience.circuits.breaker import CircuitBreaker

__all__ = ["KINDS", "Listener", "SharedState"]

# pybreaker's names, and our own for the one that differs.
KINDS = {
    "closed": CircuitState.CLOSED,
    "open": CircuitState.OPEN,
    "half-open": CircuitState.HALF_OPEN,
    "half_open": CircuitState.HALF_OPEN,
}


# What pybreaker calls what a watcher is told.
_HOOKS = {"admitted": "before_call", "failed": "failure", "succeeded": "success", "changed": "state_change"}


class Listener(Watcher):
    """A listener of pybreaker's."""

    blocking = False

    def __init__(self, breaker: CircuitBreaker, listener: pybreaker.CircuitBreakerListener) -> None:
        self._breaker = breaker
        self._listener = listener

    def hook(self, what: str) -> object:
        return getattr(self._listener, _HOOKS.get(what, what), self._listener)

    def before_call(self, call: Call) -> None:
        pass

    def admitted(self, call: Call) -> None:
        self._listener.before_call(self._breaker, call.function, *call.arguments, **call.keywords)

    def failed(self, error: Exception) -> None:
        self._listener.failure(self._breaker, error)

    def succeeded(self) -> None:
        self._listener.success(self._breaker)

    def changed(self, old: State, new: State) -> None:
        listener = cast("_StateListener", self._listener)
        listener.state_change(self._breaker, old, new)


class _StateListener(pybreaker.CircuitBreakerListener):
    def state_change(self, cb: object, old_state: object, new_state: object) -> None: ...


class SharedState(Watcher):
    """A storage of pybreaker's: what it holds, others see; what others wrote, this circuit follows.

    A store that cannot be reached is reported once and the circuit goes on by itself.
    """

    def __init__(self, breaker: CircuitBreaker, storage: pybreaker.CircuitBreakerStorage) -> None:
        self._breaker = breaker
        self._storage = storage
        self.blocking: bool = not isinstance(storage, pybreaker.CircuitMemoryStorage)

    def hook(self, what: str) -> object:
        return self._storage

    def before_call(self, call: Call) -> None:
        kind = KINDS.get(self._state_name())
        if kind is None or kind is self._breaker.circuit_state:
            return
        ago = 0.0
        if kind is CircuitState.OPEN:
            opened_at = self._storage.opened_at
            ago = 0.0 if opened_at is None else max(0.0, call.clock.wall() - opened_at.timestamp())
            if ago >= self._breaker.reset_timeout:
                return  # over: who is half-open or closed here need not go back
        self._breaker.adopt(kind, ago)

    def _state_name(self) -> str:
        storage = self._storage
        if isinstance(storage, pybreaker.CircuitRedisStorage):
            # Its `state` answers with a fallback when Redis is down, as if somebody had just closed the circuit.
            # Redis itself raises: then nothing is known, and nothing is followed.
            held = storage._redis.get(storage._namespace("state"))
            if isinstance(held, bytes):
                return held.decode()
        return storage.state

    def admitted(self, call: Call) -> None:
        pass

    def failed(self, error: Exception) -> None:
        self._storage.increment_counter()
        if self._storage.counter >= self._breaker.fail_max and self._breaker.circuit_state is CircuitState.CLOSED:
            self._breaker.open()

    def succeeded(self) -> None:
        self._storage.reset_counter()

    def changed(self, old: State, new: State) -> None:
        if isinstance(new, Closed):
            self.start_again()
            return
        if isinstance(new, Open):
            self._storage.opened_at = datetime.datetime.fromtimestamp(current_clock().wall(), datetime.UTC)
            self._storage.reset_success_counter()
        self._storage.state = new.name

    def start_again(self) -> None:
        """The circuit is closed, with nothing recorded."""
        self._storage.reset_counter()
        self._storage.reset_success_counter()
        self._storage.state = Closed.name
