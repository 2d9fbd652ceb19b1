"""A circuit breaker for each object of a class, for classes whose objects call different hosts.

Objects are distinguished by identity, not by equality, and are referred to weakly: a circuit goes when its object goes.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from resilience._forks import fork_safe
from resilience._outcome import Outcome
from resilience._runtime.place import Place
from resilience._runtime.protocol import Call, Policy, Steps
from resilience.circuits._per_key import HasCircuit
from resilience.policies.circuit_breaker import CircuitBreakerPolicy

if TYPE_CHECKING:
    from resilience._runtime.method_selection import MethodSelection
    from resilience.policies._circuit_breaker_config import CircuitBreakerConfig

__all__ = ["OneForAll", "PerInstance", "PerInstancePolicy"]

B = TypeVar("B", bound=HasCircuit)


class PerInstance(Generic[B]):
    """The circuits of objects, made by *make*: one for each object, by identity, for as long as the object lives."""

    scope: Final = "instance"

    def __init__(self, template: B, make: Callable[[], B]) -> None:
        self._template = template
        self._make = make
        self._breakers: dict[int, tuple[weakref.ref[object], B]] = {}
        self._lock = fork_safe(threading.RLock())  # a weak reference may die, and call back, while it is held
        #: The addresses of collected objects whose circuits are still kept, as the lock was taken then.
        self._collected: list[int] = []

    def policy_for(self, target: object) -> Policy:
        """Return the policy that takes the methods of the class *target* through the circuit of their object.

        Raises TypeError for what is no class, or a class whose objects cannot be referred to weakly.
        """
        if not isinstance(target, type):
            raise TypeError("per_instance=True: decorate a class, whose objects then have a circuit each")
        if not target.__weakrefoffset__:
            raise TypeError(f"per_instance=True: add '__weakref__' to the __slots__ of {target.__qualname__}")
        return PerInstancePolicy(self._template.circuit, target, self.circuit_of)

    def items(self) -> list[tuple[Hashable, B]]:
        """Return the circuits of the objects that live, each with the class and the address of its object."""
        with self._lock:
            found = list(self._breakers.values())  # at once: an object that is collected meanwhile changes the dict
        alive = [(instance, breaker) for reference, breaker in found if (instance := reference()) is not None]
        return [(f"{type(instance).__qualname__} at {id(instance):#x}", breaker) for instance, breaker in alive]

    def pairs(self) -> Iterator[tuple[Hashable, B]]:
        """Yield the circuits as `items` returns them."""
        return iter(self.items())

    def of(self, instance: object) -> B:
        """Return the circuit of an object, a new one where the object was not seen yet."""
        address = id(instance)
        with self._lock:
            found = self._breakers.get(address)
            if found is None or found[0]() is not instance:
                while self._collected:
                    self._drop(self._collected.pop())
                found = (weakref.ref(instance, lambda _: self._forget(address)), self._make())
                self._breakers[address] = found
            return found[1]

    def circuit_of(self, instance: object) -> CircuitBreakerPolicy:
        """Return the policy of an object's circuit."""
        return self.of(instance).circuit

    def _forget(self, address: int) -> None:
        """Drop the circuit of a collected object, now or with the next new one. It does not wait for the lock.

        In a forked process the collector may run before the lock is free, which a thread of the parent held.
        """
        if not self._lock.acquire(blocking=False):
            self._collected.append(address)
            return
        try:
            self._drop(address)
        finally:
            self._lock.release()

    def _drop(self, address: int) -> None:
        found = self._breakers.get(address)
        if found is not None and found[0]() is None:  # not one that has the same address now
            del self._breakers[address]


class OneForAll(Generic[B]):
    """The one circuit that all calls go through, where there is neither *key* nor *per_instance*.

    `of` answers all the same: with a circuit that goes with the object, and that calls go through only by hand.
    """

    __slots__ = ("_make", "_per_instance", "_template")
    scope: Final = None

    def __init__(self, template: B, make: Callable[[], B]) -> None:
        self._template = template
        self._make = make
        self._per_instance: PerInstance[B] | None = None

    def policy_for(self, target: object) -> Policy:
        """Return the policy of the one circuit."""
        return self._template.circuit

    def items(self) -> list[tuple[Hashable, B]]:
        """Return no circuits."""
        return []

    def pairs(self) -> Iterator[tuple[Hashable, B]]:
        """Yield no circuits."""
        return iter(())

    def of(self, instance: object) -> B:
        """Return the circuit that goes with an object."""
        if self._per_instance is None:
            self._per_instance = PerInstance(self._template, self._make)
        return self._per_instance.of(instance)


class PerInstancePolicy(Policy):
    """Takes each call through the circuit of the object whose method it is.

    Static and class methods have no object. They share the circuit that the others are made after.
    """

    supports_generators = True
    place: Place | None = Place.CIRCUIT_BREAKER

    def __init__(
        self,
        template: CircuitBreakerPolicy,
        cls: type[object],
        circuit_of: Callable[[object], CircuitBreakerPolicy],
    ) -> None:
        self._template = template
        self._class = cls
        self._circuit_of = circuit_of
        self.methods: MethodSelection | None = template.methods
        self.config: CircuitBreakerConfig = template.config
        #: The public `CircuitBreaker` that the circuits of the objects are made after.
        self.owner: object = template.owner

    def run(self, call: Call) -> Steps[Outcome]:
        return (yield from self._circuit_for(call).run(call))

    def status(self, call: Call) -> str:
        return self._circuit_for(call).status(call)

    def rejects_for(self, call: Call) -> float:
        return self._circuit_for(call).rejects_for(call)

    def _circuit_for(self, call: Call) -> CircuitBreakerPolicy:
        instance = next(iter(call.arguments), None)
        if isinstance(instance, self._class):
            return self._circuit_of(instance)
        return self._template

    def __str__(self) -> str:
        return f"{self._template} per instance"
