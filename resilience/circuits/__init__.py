"""The circuits of this process: the public object, and the registry that finds it by name. Imports pybreaker.

A circuit decides in `resilience.policies.circuit_*`: there are the policy, its states and its options. Here are

* ``breaker``: `CircuitBreaker`, the object that users hold, decorate with, and open and close by hand;
* ``_per_key``, ``_per_instance``: circuits for each key of the calls, or each object of a class;
* ``_permit``: admission and outcome by hand;
* ``_registry``, ``_snapshot``: what `get`, `all_circuits` and `snapshot` answer from.

pybreaker's attributes, listeners and storages, on top of the circuit, are in `resilience.integrations.pybreaker`.

>>> import resilience.circuits
>>> from resilience import circuit_breaker
>>> ledger = circuit_breaker("the ledger", failure_threshold=2)
>>> resilience.circuits.get("the ledger") is ledger
True
>>> [circuit["state"] for circuit in resilience.circuits.snapshot() if circuit["name"] == "the ledger"]
['closed']
"""

from resilience._runtime.method_selection import LOCAL_METHODS
from resilience.circuits._permit import Permit
from resilience.circuits._snapshot import CircuitSnapshot, snapshot
from resilience.circuits.breaker import REGISTRY, CircuitBreaker, circuit_breaker
from resilience.policies.circuit_states import CircuitMode, CircuitState

__all__ = [
    "LOCAL_METHODS",
    "CircuitBreaker",
    "CircuitMode",
    "CircuitSnapshot",
    "CircuitState",
    "Permit",
    "all_circuits",
    "circuit_breaker",
    "get",
    "reset_all",
    "snapshot",
]


def reset_all() -> None:
    """Reset every circuit of this process: closed, with nothing recorded, in normal mode.

    For the end of an incident, and between tests.
    """
    for breaker in all_circuits():
        breaker.reset()


def all_circuits() -> list[CircuitBreaker]:
    """Return the circuits of this process, by name. Circuits per key or object are `CircuitBreaker.children`."""
    return sorted(REGISTRY, key=lambda breaker: breaker.name)


def get(name: str) -> CircuitBreaker:
    """Return the circuit of that *name*, or the one that is so called in a module: ``"shop.clients.billing"``.

    It is found while it, or something that it guards, is referenced. A second circuit of one name is logged once.
    Raises LookupError where there is none, and where there are several: a name does not say which of them is meant.
    """
    return REGISTRY.get(name)
