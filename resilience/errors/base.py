"""The base of the toolkit's own errors, and those of time limits."""

from __future__ import annotations

from typing import ClassVar

from resilience.category import ErrorCategory

__all__ = [
    "CallTimeoutError",
    "DeadlineExceededError",
    "ResilienceError",
    "RetriesExhaustedError",
    "TooManyAbandonedError",
]


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


class DeadlineExceededError(ResilienceError, TimeoutError):
    """A deadline passed: of *limit* seconds around this very call, or, without, one it inherited.

    >>> str(DeadlineExceededError("shop.search"))
    'the deadline has passed before shop.search was over'
    """

    category = ErrorCategory.TIMEOUT

    def __init__(self, target: str, limit: float | None = None) -> None:
        super().__init__(target, limit)
        self.target = target
        self.limit = limit

    def __str__(self) -> str:
        of = "" if self.limit is None else f" of {self.limit:g} s"
        return f"the deadline{of} has passed before {self.target} was over"


class RetriesExhaustedError(ResilienceError):
    """All attempts at *target* have failed, and ``on_exhausted="wrap"`` asked for this. Its cause is the last error.

    *made* is how many there were, *reason* what ended them, as in a `StopReason`, *retry_after* what the last error
    asks for.

    >>> str(RetriesExhaustedError("shop.search", 3, "attempts"))
    'shop.search failed 3 times; stopped by attempts'
    """

    category = ErrorCategory.EXHAUSTED

    def __init__(self, target: str, made: int, reason: str, retry_after: float | None = None) -> None:
        super().__init__(target, made, reason, retry_after)
        self.target = target
        self.made = made
        self.reason = reason
        self._retry_after = retry_after

    @property
    def retry_after(self) -> float | None:
        return self._retry_after

    def __str__(self) -> str:
        times = "1 time" if self.made == 1 else f"{self.made} times"
        return f"{self.target} failed {times}; stopped by {self.reason}"


class TooManyAbandonedError(ResilienceError):
    """A sync call was not made: too many *running* calls, whose callers have left, still hold a thread each.

    >>> str(TooManyAbandonedError("shop.search", 64))
    'shop.search was not called: 64 calls that took too long are still running in threads nobody waits for'
    """

    category = ErrorCategory.REJECTED

    def __init__(self, target: str, running: int) -> None:
        super().__init__(target, running)
        self.target = target
        self.running = running

    def __str__(self) -> str:
        if self.running == 1:
            hangs = "1 call that took too long is still running in a thread nobody waits for"
        else:
            hangs = f"{self.running} calls that took too long are still running in threads nobody waits for"
        return f"{self.target} was not called: {hangs}"
