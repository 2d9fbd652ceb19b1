"""pyresilience: one decorator for everything, in an order of its own."""

from __future__ import annotations

from pyresilience import CircuitBreakerConfig, FallbackConfig, RetryConfig, TimeoutConfig, resilient

from benchmarks.terms import ATTEMPTS, DEFAULT, NEVER, RESET, THRESHOLD, Function

NAME = "pyresilience"
DISTRIBUTIONS = ("pyresilience",)
IMPORTS = {"pyresilience": "import pyresilience"}


def _retry() -> RetryConfig:
    return RetryConfig(max_attempts=ATTEMPTS, delay=0.0, jitter=False, retry_on=(ConnectionError,))


def _breaker() -> CircuitBreakerConfig:
    return CircuitBreakerConfig(
        failure_threshold=THRESHOLD, recovery_timeout=RESET, success_threshold=1, error_types=(ConnectionError,)
    )


def retry(function: Function) -> Function:
    return resilient(retry=_retry())(function)


def breaker(function: Function) -> Function:
    return resilient(circuit_breaker=_breaker())(function)


def fallback(function: Function) -> Function:
    return resilient(fallback=FallbackConfig(handler=DEFAULT))(function)


def fallback_breaker(function: Function) -> Function:
    return resilient(fallback=FallbackConfig(handler=DEFAULT), circuit_breaker=_breaker())(function)


def stack(function: Function) -> Function:
    return resilient(retry=_retry(), fallback=FallbackConfig(handler=DEFAULT), circuit_breaker=_breaker())(function)


def limit(function: Function, seconds: float = NEVER) -> Function:
    return resilient(timeout=TimeoutConfig(seconds=seconds))(function)
