"""Keep calls working while what they depend on fails.

An exception is classified once, into an `ErrorCategory`, and every policy reads its orders from that category:

    @fallback(default=(), on=ErrorCategory.INFRASTRUCTURE)
    @retry_on_category(ErrorCategory.TRANSIENT, attempts=3)
    @circuit_breaker("catalogue", failure_threshold=5, reset_timeout=30)
    @timeout(2.0)
    async def search(query: str) -> Sequence[Item]: ...
"""

from typing import TYPE_CHECKING

from resilience.category import ErrorCategory, Recovery, Severity
from resilience.classify import classify, explain, register, retry_after
from resilience.decorators import circuit_breaker, fallback, retry_on_category, retrying, timeout
from resilience.engine.pipeline import Description, Pipeline, describe
from resilience.errors import CallTimeoutError, ResilienceError
from resilience.profile import Profile, override_profiles, profile_of
from resilience.subscription import subscribe

if TYPE_CHECKING:
    from resilience.circuits import CircuitBreaker, CircuitState
    from resilience.errors.circuit import CircuitOpenError

__version__ = "0.1.0"

__all__ = [
    "CallTimeoutError",
    "CircuitBreaker",
    "CircuitOpenError",
    "CircuitState",
    "Description",
    "ErrorCategory",
    "Pipeline",
    "Profile",
    "Recovery",
    "ResilienceError",
    "Severity",
    "__version__",
    "circuit_breaker",
    "classify",
    "describe",
    "explain",
    "fallback",
    "override_profiles",
    "profile_of",
    "register",
    "retry_after",
    "retry_on_category",
    "retrying",
    "subscribe",
    "timeout",
]

# pybreaker comes along with these, and with it redis and tornado where they are installed: only on demand.
_ON_DEMAND = {
    "CircuitBreaker": "resilience.circuits",
    "CircuitOpenError": "resilience.errors.circuit",
    "CircuitState": "resilience.circuits",
}


def __getattr__(name: str) -> object:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    found: object = getattr(importlib.import_module(_ON_DEMAND[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
