"""A circuit breaker that counts failures by exception class instead of by category."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from resilience._runtime.method_selection import RequestMethods
from resilience.categories import ErrorCategory
from resilience.circuits import CircuitBreaker
from resilience.policies._circuit_breaker_config import IGNORED, SUCCESS, CircuitBreakerConfig
from resilience.policies.circuit_breaker import CircuitBreakerPolicy

if TYPE_CHECKING:
    from resilience.clock import Clock

__all__ = ["ClassBreaker"]


class _ClassCircuit(CircuitBreakerPolicy):
    """The policy of a circuit that counts errors of the *expected* classes, each as one, whatever their category."""

    __slots__ = ("expected", "last_failed")

    def __init__(self, name: str, config: CircuitBreakerConfig, expected: tuple[type[Exception], ...]) -> None:
        super().__init__(name, config)
        self.expected: tuple[type[Exception], ...] = expected
        #: The time of the last failure that counted, in seconds since 1970.
        self.last_failed: float | None = None

    def counts(self, error: Exception) -> bool:
        return isinstance(error, self.expected)

    def _error_weight(self, error: Exception, category: ErrorCategory, clock: Clock) -> int:
        if self.counts(error):
            self.last_failed = clock.wall()
            return 1
        # The dependency answered, if only to refuse: that decides nothing, but it satisfies a probe.
        if category in ErrorCategory.CLIENT_ERROR:
            return SUCCESS
        return IGNORED


class ClassBreaker(CircuitBreaker):
    """The toolkit's circuit breaker around a `_ClassCircuit`: it differs in the errors that count as failures."""

    _circuit: _ClassCircuit

    def __init__(
        self, name: str | None, failure_threshold: int, reset_timeout: float, expected: tuple[type[Exception], ...]
    ) -> None:
        self._expected = expected
        super().__init__(name, failure_threshold=failure_threshold, reset_timeout=reset_timeout)

    def _make_policy(self, config: CircuitBreakerConfig, methods: RequestMethods) -> CircuitBreakerPolicy:
        circuit = super()._make_policy(config, methods)
        return _ClassCircuit(circuit.name, config, self._expected)

    @property
    def last_failure_time(self) -> datetime.datetime | None:
        """The time of the last failure that counted, in UTC."""
        failed_at = self._circuit.last_failed
        if failed_at is None:
            return None
        return datetime.datetime.fromtimestamp(failed_at, datetime.UTC)
