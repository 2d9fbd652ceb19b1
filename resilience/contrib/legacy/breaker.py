"""A circuit breaker that counts failures by exception class instead of by category."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pybreaker

from resilience.category import ErrorCategory
from resilience.circuits import CircuitBreaker
from resilience.policies.circuit_breaker import Circuit
from resilience.policies.circuit_breaker_config import IGNORED, SUCCESS, Rules

if TYPE_CHECKING:
    from resilience.clock import Clock

__all__ = ["ClassBreaker"]


class _ClassCircuit(Circuit):
    """A circuit that counts failures of the *expected* classes, each as one, whatever their category."""

    __slots__ = ("expected", "last_failed")

    def __init__(self, name: str, rules: Rules, expected: tuple[type[Exception], ...]) -> None:
        super().__init__(name, rules)
        self.expected: tuple[type[Exception], ...] = expected
        #: When an expected failure came last: seconds since 1970.
        self.last_failed: float | None = None

    def counts(self, error: Exception) -> bool:
        return isinstance(error, self.expected)

    def _error_weight(self, error: Exception, category: ErrorCategory, clock: Clock) -> int:
        if self.counts(error):
            self.last_failed = clock.wall()
            return 1
        # The dependency answered, if only to refuse: that decides nothing, but it satisfies a probe.
        return SUCCESS if category in ErrorCategory.CLIENT_ERROR else IGNORED


class ClassBreaker(CircuitBreaker):
    """The toolkit's circuit, but for what counts."""

    _circuit: _ClassCircuit

    def __init__(
        self, name: str | None, failure_threshold: int, reset_timeout: float, expected: tuple[type[Exception], ...]
    ) -> None:
        self._expected = expected
        super().__init__(name, failure_threshold=failure_threshold, reset_timeout=reset_timeout)

    def _guard(
        self,
        circuit: Circuit,
        listeners: Sequence[pybreaker.CircuitBreakerListener],
        storage: pybreaker.CircuitBreakerStorage | None,
    ) -> None:
        super()._guard(_ClassCircuit(circuit.name, circuit.rules, self._expected), listeners, storage)

    @property
    def last_failure_time(self) -> datetime.datetime | None:
        """When a failure that counts came last, in UTC."""
        at = self._circuit.last_failed
        return None if at is None else datetime.datetime.fromtimestamp(at, datetime.UTC)
