"""pyresilience: one decorator for everything, in an order of its own."""

from __future__ import annotations

from typing import Any

from pyresilience import (
    BulkheadConfig,
    CircuitBreaker,
    CircuitBreakerConfig,
    CircuitOpenError,
    FallbackConfig,
    RateLimiterConfig,
    ResilienceConfig,
    ResilienceRegistry,
    RetryConfig,
    TimeoutConfig,
    resilient,
)

from benchmarks.terms import ARGUMENT, ATTEMPTS, DEFAULT, NEVER, RATE, RESET, SLOTS, THRESHOLD, Function, Wrap, new_name

NAME = "pyresilience"
DISTRIBUTIONS = ("pyresilience",)
IMPORTS = {"pyresilience": "import pyresilience"}


_RETRY = RetryConfig(max_attempts=ATTEMPTS, delay=0.0, jitter=False, retry_on=(ConnectionError,))
_BREAKER = CircuitBreakerConfig(
    failure_threshold=THRESHOLD, recovery_timeout=RESET, success_threshold=1, error_types=(ConnectionError,)
)
_FALLBACK = FallbackConfig(handler=DEFAULT)


def retry(function: Function) -> Function:
    return resilient(retry=_RETRY)(function)


def breaker(function: Function) -> Function:
    return resilient(circuit_breaker=_BREAKER)(function)


def circuit() -> tuple[Any, Wrap]:
    made = CircuitBreaker(_BREAKER)

    def guard(function: Function) -> Function:
        def guarded(*args: Any, **kwargs: Any) -> Any:  # the library's own decorator takes no circuit
            if not made.allow_request():
                raise CircuitOpenError("open")
            try:
                value = function(*args, **kwargs)
            except ConnectionError:
                made.record_failure()
                raise
            made.record_success()
            return value

        return guarded

    return made, guard


def keyed() -> tuple[Function, Function]:
    registry = ResilienceRegistry()
    registry.set_default(ResilienceConfig(circuit_breaker=_BREAKER))
    return new_name, lambda key, function: registry.decorator(key)(function)(ARGUMENT)


def fallback(function: Function) -> Function:
    return resilient(fallback=_FALLBACK)(function)


def fallback_breaker(function: Function) -> Function:
    return resilient(fallback=_FALLBACK, circuit_breaker=_BREAKER)(function)


def stack(function: Function) -> Function:
    return resilient(retry=_RETRY, fallback=_FALLBACK, circuit_breaker=_BREAKER)(function)


def limit(function: Function, seconds: float = NEVER) -> Function:
    return resilient(timeout=TimeoutConfig(seconds=seconds))(function)


def full(function: Function, seconds: float = NEVER) -> Function:
    limited = TimeoutConfig(seconds=seconds)
    return resilient(retry=_RETRY, fallback=_FALLBACK, circuit_breaker=_BREAKER, timeout=limited)(function)


def bulkhead(function: Function) -> Function:
    return resilient(bulkhead=BulkheadConfig(max_concurrent=SLOTS))(function)


def rate_limit(function: Function, calls: int = RATE) -> Function:
    return resilient(rate_limiter=RateLimiterConfig(max_calls=calls))(function)
