"""The public names to write a policy with: its base class, the call, the outcome and the effects.

A policy is one class with one method, `run`, for sync, asyncio and trio alike. The method is a generator around a call:
it yields effects, and is sent their answers::

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

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy

if TYPE_CHECKING:
    from resilience._outcome import Outcome
    from resilience._runtime.cut_off import AbandonWatch, CutOff
    from resilience._runtime.place import Place
    from resilience._runtime.protocol import (
        Acquire,
        Call,
        Effect,
        Emit,
        Limiter,
        OnFailure,
        Permit,
        Proceed,
        Race,
        Run,
        Sleep,
    )
    from resilience._runtime.slots import Slots
    from resilience.policies.base import Policy, Steps

__all__ = [
    "AbandonWatch",
    "Acquire",
    "Call",
    "CutOff",
    "Effect",
    "Emit",
    "Limiter",
    "OnFailure",
    "Outcome",
    "Permit",
    "Place",
    "Policy",
    "Proceed",
    "Race",
    "Run",
    "Sleep",
    "Slots",
    "Steps",
]

# Imported when they are asked for: the modules of this package are imported one by one, and each import stays light.
_LAZY = {"Policy": "base", "Steps": "base", **dict.fromkeys(set(__all__) - {"Policy", "Steps"}, "protocol")}

attach_lazy(__name__, _LAZY)
