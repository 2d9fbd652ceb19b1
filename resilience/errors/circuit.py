"""The error of a circuit that lets nobody through. Apart, because it imports pybreaker."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pybreaker

from resilience.categories import ErrorCategory
from resilience.errors.base import ResilienceError

__all__ = ["CircuitOpenError"]


class CircuitOpenError(ResilienceError, pybreaker.CircuitBreakerError, code="RES-E005", category="rejected"):
    """A call was not made: the circuit *name* is open, half-open with its probe on the way, or ramping up.

    *retry_after* is what is left, in seconds, until the next call is let through; infinite while it is isolated. Of the
    last failure that counted it has the type and the category, `last_error_type` and `last_category`. The failure
    itself, with its message and the local variables of its frames, belongs to another caller.

    >>> str(CircuitOpenError("billing", 12.4, failures=5, last_error_type="ReadTimeout"))
    "circuit 'billing' is open after 5 failures (last: ReadTimeout); next probe in 12.4 s"
    """

    args: tuple[str, float, int, str | None, ErrorCategory | None, bool, bool]

    def __init__(
        self,
        name: str,
        retry_after: float,
        failures: int = 0,
        last_error_type: str | None = None,
        last_category: ErrorCategory | None = None,
        probing: bool = False,
        ramping: bool = False,
    ) -> None:
        # All of it in args: pickle calls the constructor with them, and while a dependency is down this is what
        # thousands of calls a second cost.
        self.args = (name, retry_after, failures, last_error_type, last_category, probing, ramping)

    @property
    def name(self) -> str:
        """The circuit's name."""
        return self.args[0]

    @property
    def retry_after(self) -> float:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """Seconds until the next call is let through."""
        return self.args[1]

    @property
    def failures(self) -> int:
        """How many failures opened the circuit."""
        return self.args[2]

    @property
    def last_error_type(self) -> str | None:
        """The name of the type of the last failure that counted; None where none did."""
        return self.args[3]

    @property
    def last_category(self) -> ErrorCategory | None:
        """The category of the last failure that counted; None where none did."""
        return self.args[4]

    @property
    def probing(self) -> bool:
        """Whether the circuit is half-open and its probe on the way."""
        return self.args[5]

    @property
    def ramping(self) -> bool:
        """Whether the circuit has closed again, and lets only a share through as yet."""
        return self.args[6]

    def _own_details(self) -> Mapping[str, object]:
        return {
            "circuit": self.name,
            "failures": self.failures,
            "last": self.last_error_type,
            "last_category": None if self.last_category is None else self.last_category.label,
        }

    def __str__(self) -> str:
        if self.ramping:
            left = f"{self.retry_after:.1f} s"
            return f"circuit {self.name!r} has just closed and lets a growing share through; everybody in {left}"
        if self.probing:
            return f"circuit {self.name!r} is half-open, its probe on the way; next one within {self.retry_after:.1f} s"
        if self.retry_after == math.inf:
            return f"circuit {self.name!r} is isolated; nobody is let through until it is reset"
        # Opened by hand, or by another process, there are no failures to count.
        after = f" after {self.failures} failure{'' if self.failures == 1 else 's'}" if self.failures else ""
        last = f" (last: {self.last_error_type})" if self.last_error_type else ""
        return f"circuit {self.name!r} is open{after}{last}; next probe in {self.retry_after:.1f} s"
