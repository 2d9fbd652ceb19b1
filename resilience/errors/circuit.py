"""`CircuitOpenError`, raised in place of a call that a circuit rejects.

A module of its own because it imports pybreaker: `import resilience` must not. The error passes for pybreaker's, so
that programs written for that library catch it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pybreaker

from resilience.categories import ErrorCategory
from resilience.errors.base import ResilienceError

__all__ = ["CircuitOpenError"]


class CircuitOpenError(ResilienceError, pybreaker.CircuitBreakerError, code="RES-E005", category="rejected"):
    """The circuit *name* rejected a call: it is open, its probe is in flight, it is ramping up, or sheds.

    *retry_after* is the time until the circuit admits another call, in seconds; infinite while it is isolated.
    *last_error_type* and *last_category* describe the last failure that counted. The failure itself, with its message
    and the local variables of its frames, belongs to another caller and is not kept.

    >>> str(CircuitOpenError("billing", 12.4, failures=5, last_error_type="ReadTimeout"))
    "circuit 'billing' is open after 5 failures (last: ReadTimeout); next probe in 12.4 s"
    >>> str(CircuitOpenError("billing", 3.0, ramping=True))
    "circuit 'billing' is ramping up; full traffic in 3.0 s"
    >>> str(CircuitOpenError("billing", 1.0, last_category=ErrorCategory.TIMEOUT, shed=0.25))
    "circuit 'billing' sheds 25% of the calls while a part of them fails (last: timeout)"
    """

    args: tuple[str, float, int, str | None, ErrorCategory | None, bool, bool, float]

    def __init__(
        self,
        name: str,
        retry_after: float,
        failures: int = 0,
        last_error_type: str | None = None,
        last_category: ErrorCategory | None = None,
        probing: bool = False,
        ramping: bool = False,
        shed: float = 0.0,
    ) -> None:
        # Everything is in args. Pickle calls the constructor with them; and while a dependency is down, thousands of
        # these are made in a second.
        self.args = (name, retry_after, failures, last_error_type, last_category, probing, ramping, shed)

    @property
    def name(self) -> str:
        """The circuit's name."""
        return self.args[0]

    @property
    def retry_after(self) -> float:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """Seconds until the circuit admits another call."""
        return self.args[1]

    @property
    def failures(self) -> int:
        """The number of failures that opened the circuit; 0 where it was opened by hand or by another process."""
        return self.args[2]

    @property
    def last_error_type(self) -> str | None:
        """The name of the type of the last failure that counted; None where none has."""
        return self.args[3]

    @property
    def last_category(self) -> ErrorCategory | None:
        """The category of the last failure that counted; None where none has."""
        return self.args[4]

    @property
    def probing(self) -> bool:
        """Whether the circuit is half-open and its probe in flight."""
        return self.args[5]

    @property
    def ramping(self) -> bool:
        """Whether the circuit has closed again and admits a growing share of the calls."""
        return self.args[6]

    @property
    def shed(self) -> float:
        """The share of the calls that the circuit sheds, which is closed; 0 where it rejects for another reason."""
        return self.args[7]

    def _own_details(self) -> Mapping[str, object]:
        details: dict[str, object] = {
            "circuit": self.name,
            "failures": self.failures,
            "last": self.last_error_type,
            "last_category": None,
        }
        if self.last_category is not None:
            details["last_category"] = self.last_category.label
        if self.shed:
            details["shed"] = self.shed
        return details

    def __str__(self) -> str:
        circuit = f"circuit {self.name!r}"
        if self.shed:
            return f"{circuit} sheds {self.shed:.0%} of the calls while a part of them fails{self._last()}"
        if self.ramping:
            return f"{circuit} is ramping up; full traffic in {self.retry_after:.1f} s"
        if self.probing:
            return f"{circuit} is half-open and its probe is in flight; next probe within {self.retry_after:.1f} s"
        if self.retry_after == math.inf:
            return f"{circuit} is isolated; it rejects all calls until it is reset"
        return f"{circuit} is open{self._reason()}; next probe in {self.retry_after:.1f} s"

    def _reason(self) -> str:
        reason = ""
        if self.failures:
            reason = f" after {self.failures} failures"
        if self.failures == 1:
            reason = " after 1 failure"
        if self.last_error_type:
            reason = f"{reason} (last: {self.last_error_type})"
        return reason

    def _last(self) -> str:
        if self.last_category is None:
            return ""
        return f" (last: {self.last_category.label})"
