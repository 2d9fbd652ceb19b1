"""A circuit breaker for each object of a class."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from resilience._runtime.protocol import Call, Policy, Steps
from resilience.outcome import Outcome

if TYPE_CHECKING:
    from resilience._runtime.method_selection import MethodSelection
    from resilience.circuits.breaker import CircuitBreaker
    from resilience.policies.circuit_breaker import Circuit

__all__ = ["Instances", "PerInstance"]


class Instances:
    """A circuit for each object, by identity, for as long as the object lives."""

    def __init__(self, make: Callable[[], CircuitBreaker]) -> None:
        self._make = make
        self._circuits: dict[int, tuple[weakref.ref[object], CircuitBreaker]] = {}
        self._lock = threading.RLock()  # a weak reference may die, and call back, while it is held

    def __len__(self) -> int:
        return len(self._circuits)

    def items(self) -> list[tuple[str, CircuitBreaker]]:
        """Return the circuits that are there."""
        with self._lock:
            found = list(self._circuits.values())  # at once: an object that is collected meanwhile changes the dict
        alive = [(instance, breaker) for reference, breaker in found if (instance := reference()) is not None]
        return [(f"{type(instance).__qualname__} at {id(instance):#x}", breaker) for instance, breaker in alive]

    def of(self, instance: object) -> CircuitBreaker:
        key = id(instance)
        with self._lock:
            found = self._circuits.get(key)
            if found is None or found[0]() is not instance:
                found = (weakref.ref(instance, lambda _: self._forget(key)), self._make())
                self._circuits[key] = found
            return found[1]

    def _forget(self, key: int) -> None:
        with self._lock:
            found = self._circuits.get(key)
            if found is not None and found[0]() is None:  # not one that has the same address now
                del self._circuits[key]


class PerInstance(Policy):
    """Takes each call through the circuit of the object whose method it is. Static and class methods share another."""

    supports_generators = True

    def __init__(self, template: CircuitBreaker, owner: type[object]) -> None:
        self._template = template
        self.methods: MethodSelection | None = template.circuit.methods
        self._owner = owner

    def run(self, call: Call) -> Steps[Outcome]:
        return (yield from self._circuit_of(call).run(call))

    def status(self, call: Call) -> str:
        return self._circuit_of(call).status(call)

    def _circuit_of(self, call: Call) -> Circuit:
        first = call.arguments[0] if call.arguments else None
        breaker = self._template.of(first) if isinstance(first, self._owner) else self._template
        return breaker._circuit

    def __str__(self) -> str:
        return f"{self._template} per instance"
