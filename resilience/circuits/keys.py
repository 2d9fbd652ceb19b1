"""A circuit breaker for each key, which a user's function derives from the call's arguments."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from resilience._runtime.callables import is_async
from resilience._runtime.protocol import Call, Policy, Steps
from resilience.outcome import Outcome
from resilience.policies.circuit_states import CircuitMode, CircuitState
from resilience.trouble import refuse_coroutine

if TYPE_CHECKING:
    from resilience._runtime.method_selection import MethodSelection
    from resilience.circuits.breaker import CircuitBreaker

__all__ = ["Keyed", "Keys"]


class Keys:
    """A circuit for each of at most *most* keys. The least recently used is evicted first, but closed before open."""

    def __init__(self, make: Callable[[], CircuitBreaker], most: int) -> None:
        self._make = make
        self._most = most
        self._circuits: OrderedDict[Hashable, CircuitBreaker] = OrderedDict()
        self._lock = threading.RLock()  # the collector may run while it is held, and with it a destructor that calls

    def __len__(self) -> int:
        return len(self._circuits)

    def items(self) -> list[tuple[Hashable, CircuitBreaker]]:
        """Return the circuits that are there, the least recently used first."""
        with self._lock:
            found = self._circuits.copy()
        return list(found.items())

    def of(self, key: Hashable) -> CircuitBreaker:
        """Return the circuit of a key."""
        with self._lock:
            found = self._circuits.get(key)
            if found is not None:
                self._circuits.move_to_end(key)
                return found
            if len(self._circuits) >= self._most:
                del self._circuits[self._eviction_candidate()]
            found = self._circuits[key] = self._make()
            return found

    def _eviction_candidate(self) -> Hashable:
        # An open circuit is worth more: without it a dependency that is down is called again. So is one whose mode was
        # set by hand.
        for key, breaker in self._circuits.items():
            if breaker.circuit_state is CircuitState.CLOSED and breaker.mode is CircuitMode.NORMAL:
                return key
        return next(iter(self._circuits))


class Keyed(Policy):
    """Takes each call through the circuit of its key."""

    supports_generators = True

    def __init__(self, template: CircuitBreaker, key: Callable[..., Hashable]) -> None:
        if is_async(key):
            raise TypeError(f"key={key!r}: give a plain function of the call's arguments; an async one is not awaited")
        self._template = template
        self.methods: MethodSelection | None = template.circuit.methods
        self._key = key

    def run(self, call: Call) -> Steps[Outcome]:
        try:
            key = refuse_coroutine(self._key(*call.arguments, **call.keywords))
        except Exception as error:
            error.add_note(f"resilience: raised by key= of circuit {self._template.name!r}; the call was not made")
            return Outcome(None, error)
        try:
            circuit = self._template.of(key)._circuit
        except Exception as error:  # from its __hash__ or __eq__
            return Outcome(None, self._not_a_key(key, error))
        call.notes[self] = circuit
        return (yield from circuit.run(call))

    def _not_a_key(self, key: object, error: Exception) -> TypeError:
        wrong = f"circuit {self._template.name!r}: key= gave a {type(key).__name__}, which cannot be a dict's key"
        refused = TypeError(f"{wrong}; the call was not made")
        refused.__cause__ = error
        return refused

    def status(self, call: Call) -> str | None:
        circuit: Any = call.notes.get(self)  # None where the call did not get so far
        return None if circuit is None else circuit.status(call)

    def __str__(self) -> str:
        return f"{self._template} per key"
