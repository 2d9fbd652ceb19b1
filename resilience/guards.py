"""What `retry_on_category` returns."""

from __future__ import annotations

from resilience._runtime.pipeline import Decorator
from resilience._runtime.protocol import Policy
from resilience.policies.retry import Retry

__all__ = ["RetryGuard"]


class RetryGuard(Decorator):
    """What `retry_on_category` returns."""

    __slots__ = ("_retry",)

    def __init__(self, retry: Retry) -> None:
        self._retry = retry

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        return (self._retry,)

    def __repr__(self) -> str:
        return str(self._retry)
