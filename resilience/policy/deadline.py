"""Let a piece of work, and everything it calls, be over in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.errors.base import DeadlineExceededError
from resilience.outcome import EXPIRED, OVERDUE, Outcome
from resilience.policy.base import Call, Emit, Policy, Steps
from resilience.policy.check import seconds
from resilience.policy.timeout import cut_short
from resilience.subscription import listened

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["Deadline"]


class Deadline(Policy):
    """Have everything inside know that *limit* seconds are left, or what a deadline further out leaves."""

    # Not on the fast path: what is inside must be told.
    cooperative = True

    def __init__(self, limit: float | timedelta) -> None:
        self.seconds: float = seconds("seconds", limit)
        self.limit: float | None = self.seconds

    def after(self, call: Call, at: int, outcome: Outcome) -> Outcome | Steps[Outcome]:
        if outcome is not EXPIRED and outcome is not OVERDUE:
            return outcome
        limit = self.seconds if outcome is EXPIRED else None
        expired = Outcome(None, DeadlineExceededError(call.target, limit))
        cut_short(call, expired)
        return self._told(call, expired) if listened() else expired

    def _told(self, call: Call, expired: Outcome) -> Steps[Outcome]:
        from resilience.events import TimedOut

        yield Emit(TimedOut(target=call.target, policy="deadline", limit=self.seconds))
        return expired

    def __str__(self) -> str:
        return f"deadline({self.seconds:g})"
