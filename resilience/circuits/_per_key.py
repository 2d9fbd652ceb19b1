"""A circuit breaker for each key, which a user's function derives from the call's arguments.

A key is what fails by itself: a host, a tenant, a shard. The circuits share one configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from resilience._outcome import Outcome
from resilience._runtime.place import Place
from resilience._runtime.protocol import Call, Policy, Steps
from resilience.policies._keyed import Keyed
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.circuit_states import CircuitMode, CircuitState

if TYPE_CHECKING:
    from resilience._runtime.method_selection import MethodSelection
    from resilience.policies._circuit_breaker_config import CircuitBreakerConfig

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


class PerKey(Keyed[B], Generic[B]):
    """The circuits of at most *max_keys* keys, made by *make*.

    An open circuit is worth more than a closed one, since without it a dependency that is down is called again; so is
    one whose mode was set by hand. These are evicted only where there are no others.
    """

    scope: Final = "key"

    def __init__(self, template: B, make: Callable[[Hashable], B], key: Callable[..., Hashable], max_keys: int) -> None:
        super().__init__(partial(make, None), max_keys, _is_idle, lambda: f"circuit {template.circuit.name!r}")
        self._template = template
        self._make_for = make
        self._key = key

    def _new(self, key: Hashable) -> B:
        """Return a new circuit: a fleet knows it by its *key*."""
        return self._make_for(key)

    def policy_for(self, target: object) -> Policy:
        """Return the policy that takes the calls of *target* through the circuit of their key."""
        return PerKeyPolicy(self._template.circuit, self, self._key)


def _is_idle(breaker: HasCircuit) -> bool:
    circuit = breaker.circuit
    return circuit.state.kind is CircuitState.CLOSED and circuit.mode is CircuitMode.NORMAL


class PerKeyPolicy(Policy):
    """Takes each call through the circuit of its key.

    Where the key cannot be derived the call is not made, and no circuit counts it.
    """

    supports_generators = True
    place: Place | None = Place.CIRCUIT_BREAKER

    def __init__(
        self,
        template: CircuitBreakerPolicy,
        circuits: Keyed[Any],
        key: Callable[..., Hashable],
    ) -> None:
        self._template = template
        #: The function that derives the key.
        self.key: Callable[..., Hashable] = key
        #: The circuits of all keys.
        self.circuits: Keyed[Any] = circuits
        self.methods: MethodSelection | None = template.methods
        self.config: CircuitBreakerConfig = template.config
        #: The public `CircuitBreaker` that the circuits of the keys are made after.
        self.owner: object = template.owner

    def circuit_for(self, call: Call) -> HasCircuit:
        """Return the circuit of the key of *call*; raise what its function raises."""
        breaker: HasCircuit = self.circuits.of_call(call, self.key)
        return breaker

    def run(self, call: Call) -> Steps[Outcome]:
        """Take *call* through the circuit of its key, which is kept for `status`: the key is derived once."""
        try:
            breaker = self.circuit_for(call)
        except Exception as error:  # of the key, or of its function
            return Outcome(None, error)
        call.notes[self] = breaker.circuit
        return (yield from breaker.circuit.run(call))

    def status(self, call: Call) -> str | None:
        """Return the state of the circuit that the call went through, for its note."""
        circuit: Any = call.notes.get(self)
        if circuit is None:  # the call did not get so far
            return None
        return str(circuit.status(call))

    def rejects_for(self, call: Call) -> float:
        """Return for how many seconds the circuit that the call went through stays open."""
        circuit: Any = call.notes.get(self)
        return 0.0 if circuit is None else float(circuit.rejects_for(call))

    def __str__(self) -> str:
        return f"{self._template} per key"
