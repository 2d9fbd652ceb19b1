"""The circuits of this process: the public object, and the registry that finds it by name. Imports pybreaker.

A circuit decides in `resilience.policies.circuit_*`: there are the policy, its states and its options. Here are

* ``breaker``: `CircuitBreaker`, the object that users hold, decorate with, and open and close by hand;
* ``per_key``, ``per_instance``: circuits for each key of the calls, or each object of a class;
* ``registry``, ``snapshot``: what `get` and `snapshot` answer from;
* ``pybreaker_compat``, ``pybreaker_adapters``, ``pybreaker_storage``, ``storage_executor``: pybreaker's attributes,
  listeners and storages, on top of the circuit.

>>> import resilience.circuits
>>> from resilience import circuit_breaker
>>> ledger = circuit_breaker("ledger", failure_threshold=2)
>>> resilience.circuits.get("ledger") is ledger
True
>>> [circuit["state"] for circuit in resilience.circuits.snapshot() if circuit["name"] == "ledger"]
['closed']
"""

from resilience._runtime.method_selection import LOCAL_METHODS
from resilience.circuits._snapshot import CircuitSnapshot, snapshot
from resilience.circuits.breaker import REGISTRY, CircuitBreaker, circuit_breaker
from resilience.policies.circuit_states import CircuitMode, CircuitState

__all__ = [
    "LOCAL_METHODS",
    "CircuitBreaker",
    "CircuitMode",
    "CircuitSnapshot",
    "CircuitState",
    "circuit_breaker",
    "get",
    "snapshot",
]


def get(name: str) -> CircuitBreaker:
    """Return the circuit of that name.

    Raises LookupError where there is none, and where there are several: a name does not say which of them is meant.
    """
    return REGISTRY.get(name)
