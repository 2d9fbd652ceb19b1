"""A kill switch: no call is made, every caller gets an error that no retry repeats and no circuit counts.

>>> @DenyAll("the warehouse is being moved")
... def stock(item: str) -> int:
...     return 7
>>> stock("lamp")
Traceback (most recent call last):
...
examples.policies.deny_all.DeniedError: examples.policies.deny_all.stock was not called: the warehouse is being moved
"""

from resilience import ErrorCategory, ResilienceError
from resilience.policies import Call, Outcome, Policy, Steps


class DeniedError(ResilienceError, category=ErrorCategory.REJECTED):
    """A call was not made, on purpose."""


class DenyAll(Policy):
    """Reject every call, and give *reason* as the cause."""

    def __init__(self, reason: str = "it is switched off") -> None:
        self.reason = reason

    def run(self, call: Call) -> Steps:
        return Outcome.failed(DeniedError(f"{call.target} was not called: {self.reason}"))
        yield  # makes it a generator
