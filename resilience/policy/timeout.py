"""Give up on a call that takes too long."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from resilience.errors.base import CallTimeoutError
from resilience.outcome import EXPIRED, Outcome
from resilience.policy.base import Call, Emit, Policy, Proceed, Steps
from resilience.policy.check import seconds
from resilience.subscription import listened

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["Timeout"]


@dataclasses.dataclass(frozen=True, eq=False)
class Timeout(Policy):
    """Let a call take at most *limit* seconds."""

    plain: ClassVar[bool] = False  # type: ignore[misc]  # the limit surrounds the call, failed or not

    limit: float | timedelta

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit", seconds("seconds", self.limit))

    def run(self, call: Call) -> Steps:
        limit = float(self.limit)  # type: ignore[arg-type]  # a float since __post_init__
        outcome = yield Proceed(limit)
        # By identity, not by type: a TimeoutError of the function's own passes as it is.
        if outcome is not EXPIRED:
            return outcome
        if listened():
            from resilience.events import TimedOut

            yield Emit(TimedOut(target=call.target, policy="timeout", limit=limit))
        return Outcome(error=CallTimeoutError(call.target, limit))

    def __str__(self) -> str:
        return f"timeout({self.limit:g})"
