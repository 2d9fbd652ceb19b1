"""A concurrency limit: so many calls at a time, and a wait for those that come while all slots are taken.

>>> few = ConcurrencyLimit(limit=1)
>>> @few
... def report() -> str:
...     return f"{few.slots.free} slots free"
>>> report(), few.slots.free
('0 slots free', 1)
>>> few.slots.try_acquire()  # as a call that does not end
True
>>> report()
Traceback (most recent call last):
...
examples.policies.concurrency_limit.TooBusyError: examples.policies.concurrency_limit.report waited 0 s for a slot of 1
"""

from resilience import ErrorCategory, ResilienceError
from resilience.policies import Acquire, Call, Outcome, Policy, Proceed, Slots, Steps


class TooBusyError(ResilienceError, category=ErrorCategory.REJECTED):
    """A call was not made: no slot became free in time."""


class ConcurrencyLimit(Policy):
    """Make at most *limit* calls at a time. Others wait up to *wait* seconds, and no longer than their deadline.

    A generator function holds its slot until its items have ended.
    """

    def __init__(self, limit: int, wait: float = 0.0) -> None:
        self.limit = limit
        self.wait = wait
        self.slots = Slots(limit)

    def run(self, call: Call) -> Steps:
        if not (yield Acquire(self.slots, self.wait)):
            return Outcome.failed(TooBusyError(f"{call.target} waited {self.wait:g} s for a slot of {self.limit}"))
        try:
            outcome: Outcome = yield Proceed()
            return outcome
        finally:
            self.slots.release()
