"""The error of a circuit that lets nobody through. Apart, because it imports pybreaker."""

from __future__ import annotations

import pybreaker

from resilience.category import ErrorCategory
from resilience.errors.base import ResilienceError

__all__ = ["CircuitOpenError"]


class CircuitOpenError(ResilienceError, pybreaker.CircuitBreakerError):
    """A call was not made because the circuit *name* is open, or half-open with its probe on the way.

    *retry_after* is what is left, in seconds, until the next call is let through. The last failure that counted
    is its ``__cause__``.

    >>> str(CircuitOpenError("billing", 12.4, failures=5, last="ReadTimeout"))
    "circuit 'billing' is open after 5 failures (last: ReadTimeout); next probe in 12.4 s"
    """

    category = ErrorCategory.REJECTED

    def __init__(
        self, name: str, retry_after: float, failures: int = 0, last: str | None = None, probing: bool = False
    ) -> None:
        # Exactly these arguments, so that pickle can call the constructor with them again.
        super().__init__(name, retry_after, failures, last, probing)
        self.name = name
        self.retry_after = retry_after
        self.failures = failures
        self.last = last
        self.probing = probing

    def __str__(self) -> str:
        if self.probing:
            return f"circuit {self.name!r} is half-open, its probe on the way; next one within {self.retry_after:.1f} s"
        failures = f"{self.failures} failure{'' if self.failures == 1 else 's'}"
        last = f" (last: {self.last})" if self.last else ""
        return f"circuit {self.name!r} is open after {failures}{last}; next probe in {self.retry_after:.1f} s"
