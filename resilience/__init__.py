"""Keep calls working while what they depend on fails.

An exception is classified once, into an `ErrorCategory`, and every policy reads its orders from that category:

    @fallback(default=())
    @retry_on_category(ErrorCategory.TRANSIENT, attempts=3)
    @circuit_breaker("catalogue", failure_threshold=5, reset_timeout=30)
    @timeout(2.0)
    async def search(query: str) -> Sequence[Item]: ...
"""

from typing import TYPE_CHECKING

from resilience.category import ErrorCategory, Recovery, Severity
from resilience.classify import classify
from resilience.decorators import circuit_breaker, fallback, retry_on_category, retrying, timeout

if TYPE_CHECKING:
    from resilience.circuits import CircuitBreaker, CircuitState
    from resilience.classify import explain, register, retry_after
    from resilience.engine.pipeline import Description, Pipeline, describe
    from resilience.errors import CallTimeoutError, ResilienceError
    from resilience.errors.circuit import CircuitOpenError
    from resilience.profile import Profile, override_profiles, profile_of
    from resilience.subscription import subscribe

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

# Imported when first asked for. With the circuit comes pybreaker, and with it redis and tornado where installed.
_ROOMS = {
    "CallTimeoutError": "errors",
    "CircuitBreaker": "circuits",
    "CircuitOpenError": "errors.circuit",
    "CircuitState": "circuits",
    "Description": "engine.pipeline",
    "Pipeline": "engine.pipeline",
    "Profile": "profile",
    "ResilienceError": "errors",
    "describe": "engine.pipeline",
    "explain": "classify.decide",
    "override_profiles": "profile",
    "profile_of": "profile",
    "register": "classify.registry",
    "retry_after": "classify.hint",
    "subscribe": "subscription",
}
_SUBMODULES = {"events", "logs", "testing"}


def __getattr__(name: str) -> object:
    import importlib

    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
