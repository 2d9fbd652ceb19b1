"""Give up on a call that takes too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.errors.base import CallTimeoutError, DeadlineExceededError
from resilience.outcome import EXPIRED, OVERDUE, Outcome
from resilience.policy.base import Call, Emit, Policy, Steps
from resilience.policy.check import one_of, seconds
from resilience.subscription import listened

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["MODES", "Timeout"]

MODES = ("thread", "signal")


class Timeout(Policy):
    """Let a call take at most *limit* seconds. *mode* is how a sync call is given up."""

    def __init__(self, limit: float | timedelta, mode: str = "thread") -> None:
        self.seconds: float = seconds("seconds", limit)
        self.limit: float | None = self.seconds
        self.interrupts: bool = one_of("mode", mode, MODES) == "signal"

    def after(self, call: Call, at: int, outcome: Outcome) -> Outcome | Steps[Outcome]:
        # By identity, not by type: a TimeoutError of the function's own passes as it is.
        if outcome is EXPIRED:
            expired = Outcome(None, CallTimeoutError(call.target, self.seconds))
        elif outcome is OVERDUE:
            expired = Outcome(None, DeadlineExceededError(call.target))
        else:
            return outcome
        return self._told(call, expired) if listened() else expired

    def _told(self, call: Call, expired: Outcome) -> Steps[Outcome]:
        from resilience.events import TimedOut

        yield Emit(TimedOut(target=call.target, policy="timeout", limit=self.seconds))
        return expired

    def __str__(self) -> str:
        return f"timeout({self.seconds:g}{', mode=signal' if self.interrupts else ''})"
