"""The circuits of this process: as objects, by name, and what is to be known of them. Imports pybreaker.

>>> import resilience.circuits
>>> from resilience import circuit_breaker
>>> ledger = circuit_breaker("ledger", failure_threshold=2)
>>> resilience.circuits.get("ledger") is ledger
True
>>> [circuit["state"] for circuit in resilience.circuits.snapshot() if circuit["name"] == "ledger"]
['closed']
"""

from resilience._runtime.method_selection import LOCAL_METHODS
from resilience.circuits.breaker import CircuitBreaker
from resilience.circuits.registry import REGISTRY
from resilience.circuits.snapshot import CircuitSnapshot, snapshot
from resilience.policies.circuit_states import CircuitMode, CircuitState

__all__ = ["LOCAL_METHODS", "CircuitBreaker", "CircuitMode", "CircuitSnapshot", "CircuitState", "get", "snapshot"]


def get(name: str) -> CircuitBreaker:
    """Return the circuit of that name.

    Raises LookupError where there is none, or more than one: which of them is meant nobody can say.
    """
    return REGISTRY.get(name)
