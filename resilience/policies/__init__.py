"""How to write a policy of your own: one class with one method, which every way to call can use.

A policy is a generator around a call. It yields effects, and is sent their answers::

    class ConcurrencyLimit(Policy):
        def __init__(self, limit: int, wait: float = 0.0) -> None:
            self.slots = Slots(limit)
            self.wait = wait

        def run(self, call: Call) -> Steps:
            if not (yield Acquire(self.slots, self.wait)):
                return Outcome.failed(TooBusyError(call.target))
            try:
                return (yield Proceed())
            finally:
                self.slots.release()
"""

from resilience.outcome import Outcome
from resilience.policies.base import Policy, Steps
from resilience.policy.base import Acquire, Call, Effect, Emit, Proceed, Race, Run, Sleep
from resilience.policy.slots import Slots

__all__ = [
    "Acquire",
    "Call",
    "Effect",
    "Emit",
    "Outcome",
    "Policy",
    "Proceed",
    "Race",
    "Run",
    "Sleep",
    "Slots",
    "Steps",
]
