"""The circuit as an object: what `circuit_breaker` returns. Imports pybreaker."""

from resilience.circuits.breaker import CircuitBreaker
from resilience.policy.states import CircuitState

__all__ = ["CircuitBreaker", "CircuitState"]
