"""The base of the toolkit's own errors, and the one of time limits."""

from __future__ import annotations

from typing import ClassVar

from resilience.category import ErrorCategory

__all__ = ["CallTimeoutError", "ResilienceError"]


class ResilienceError(Exception):
    """An error the toolkit itself raises."""

    category: ClassVar[ErrorCategory] = ErrorCategory.UNKNOWN

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait before the next try, where that is known."""
        return None


class CallTimeoutError(ResilienceError, TimeoutError):
    """A call took longer than its time limit.

    >>> str(CallTimeoutError("shop.search", 2.0))
    'shop.search took longer than 2 s'
    """

    category = ErrorCategory.TIMEOUT

    def __init__(self, target: str, limit: float) -> None:
        # Exactly these arguments, so that pickle can call the constructor with them again.
        super().__init__(target, limit)
        self.target = target
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.target} took longer than {self.limit:g} s"
