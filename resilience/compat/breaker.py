"""The engine's circuit with one decision taken from it: which failures count."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pybreaker

from resilience.category import ErrorCategory
from resilience.circuits import CircuitBreaker
from resilience.classify import classify
from resilience.policy.breaker import Circuit
from resilience.policy.trip import ANSWERED, NEUTRAL, Rules

if TYPE_CHECKING:
    from resilience.clock import Clock
    from resilience.outcome import Outcome
    from resilience.policy.base import Call, Steps
    from resilience.policy.states import Transition

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

    def _weigh(self, error: Exception) -> int:
        if self.counts(error):
            return 1
        # It answered, if only to refuse: that decides nothing, but a probe it satisfies.
        return ANSWERED if classify(error) in ErrorCategory.CLIENT_ERROR else NEUTRAL

    def settle(
        self,
        admitted: Any,
        weight: int,
        clock: Clock,
        category: ErrorCategory | None = None,
        error: Exception | None = None,
        hold: float | None = None,
    ) -> Transition | None:
        if error is not None:
            weight = self._weigh(error)
            if weight > 0:
                self.last_failed = clock.wall()
        return super().settle(admitted, weight, clock, category, error, hold)

    def _tell_all(
        self, call: Call, outcome: Outcome, weight: int, transition: Transition | None, counted: bool
    ) -> Steps[Outcome]:
        if outcome.error is not None:
            weight = self._weigh(outcome.error)
        return super()._tell_all(call, outcome, weight, transition, counted)


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
