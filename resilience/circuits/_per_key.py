"""A circuit breaker for each key, which a user's function derives from the call's arguments.

A key is what fails by itself: a host, a tenant, a shard. The circuits are made when a key is first seen, share one
configuration, and the number of them is bounded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from resilience._callback_errors import refuse_coroutine
from resilience._forks import fork_safe
from resilience._outcome import Outcome
from resilience._runtime.protocol import Call, Policy, Steps
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.circuit_states import CircuitMode, CircuitState

if TYPE_CHECKING:
    from resilience._runtime.method_selection import MethodSelection

__all__ = ["HasCircuit", "PerKey", "PerKeyPolicy"]


class HasCircuit(Protocol):
    """A public circuit breaker, as far as the circuits per key and per object know it.

    By this protocol they need no import of the breaker, which imports them.
    """

    @property
    def circuit(self) -> CircuitBreakerPolicy:
        """The policy that its calls go through."""
        ...


B = TypeVar("B", bound=HasCircuit)


class PerKey(Generic[B]):
    """The circuits of at most *max_keys* keys, made by *make*.

    When there are more, the circuit that was not used for longest is evicted. An open circuit is worth more than a
    closed one, since without it a dependency that is down is called again; so is one whose mode was set by hand. These
    are evicted only where there are no others.
    """

    scope: Final = "key"

    def __init__(self, template: B, make: Callable[[], B], key: Callable[..., Hashable], max_keys: int) -> None:
        self._template = template
        self._make = make
        self._key = key
        self._max_keys = max_keys
        self._breakers: OrderedDict[Hashable, B] = OrderedDict()
        self._lock = fork_safe(
            threading.RLock()
        )  # the collector may run while it is held, and with it a destructor that calls

    def policy_for(self, target: object) -> Policy:
        """Return the policy that takes the calls of *target* through the circuit of their key."""
        return PerKeyPolicy(self._template.circuit, self._key, self.circuit_of)

    def items(self) -> list[tuple[Hashable, B]]:
        """Return the keys and their circuits, the least recently used first."""
        with self._lock:
            found = self._breakers.copy()
        return list(found.items())

    def of(self, key: Hashable) -> B:
        """Return the circuit of a key, a new one where the key was not seen yet."""
        with self._lock:
            found = self._breakers.get(key)
            if found is not None:
                self._breakers.move_to_end(key)
                return found
            if len(self._breakers) >= self._max_keys:
                del self._breakers[self._eviction_candidate()]
            found = self._breakers[key] = self._make()
            return found

    def circuit_of(self, key: Hashable) -> CircuitBreakerPolicy:
        """Return the policy of a key's circuit."""
        return self.of(key).circuit

    def _eviction_candidate(self) -> Hashable:
        for key, breaker in self._breakers.items():
            circuit = breaker.circuit
            if circuit.state.kind is CircuitState.CLOSED and circuit.mode is CircuitMode.NORMAL:
                return key
        return next(iter(self._breakers))


class PerKeyPolicy(Policy):
    """Takes each call through the circuit of its key.

    An error of the key function reaches the caller with a note, and the call is not made; neither is it where the key
    cannot be a dict's key. No circuit counts either.
    """

    supports_generators = True

    def __init__(
        self,
        template: CircuitBreakerPolicy,
        key: Callable[..., Hashable],
        circuit_of: Callable[[Hashable], CircuitBreakerPolicy],
    ) -> None:
        self._template = template
        self._key = key
        self._circuit_of = circuit_of
        self.methods: MethodSelection | None = template.methods
        #: The public `CircuitBreaker` that the circuits of the keys are made after.
        self.owner: object = template.owner

    def run(self, call: Call) -> Steps[Outcome]:
        """Take *call* through the circuit of its key, which is kept for `status`: the key is derived once."""
        try:
            key = refuse_coroutine(self._key(*call.arguments, **call.keywords))
        except Exception as error:
            error.add_note(f"resilience: raised by key= of circuit {self._template.name!r}; the call was not made")
            return Outcome(None, error)
        try:
            circuit = self._circuit_of(key)
        except Exception as error:  # from its __hash__ or __eq__
            return Outcome(None, self._not_hashable(key, error))
        call.notes[self] = circuit
        return (yield from circuit.run(call))

    def _not_hashable(self, key: object, error: Exception) -> TypeError:
        wrong = f"circuit {self._template.name!r}: key= gave a {type(key).__name__}, which cannot be a dict's key"
        refused = TypeError(f"{wrong}; the call was not made")
        refused.__cause__ = error
        return refused

    def status(self, call: Call) -> str | None:
        """Return the state of the circuit that the call went through, for its note."""
        circuit: Any = call.notes.get(self)
        if circuit is None:  # the call did not get so far
            return None
        return str(circuit.status(call))

    def __str__(self) -> str:
        return f"{self._template} per key"
