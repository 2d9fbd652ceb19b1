"""Let a piece of work, and everything it calls, be over in time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from resilience._runtime.protocol import Call, Emit, Proceed
from resilience._validation import seconds
from resilience.errors.base import DeadlineExceededError
from resilience.outcome import EXPIRED, OVERDUE, Outcome
from resilience.policies.base import Policy, Steps
from resilience.subscription import has_listeners

if TYPE_CHECKING:
    from resilience._runtime.worst_case import WorstCase

__all__ = ["Deadline"]


class Deadline(Policy):
    """A moment by which everything inside must be over, unless an enclosing deadline is earlier."""

    # Not on the fast path: what is inside must know of it.
    is_deadline = True
    supports_generators = False

    def __init__(self, limit: float | timedelta) -> None:
        self.seconds: float = seconds("seconds", limit)
        self.time_limit: float | None = self.seconds

    def run(self, call: Call) -> Steps:
        outcome: Outcome = yield Proceed(self.time_limit, cooperative=True, raw=True)
        if outcome is not EXPIRED and outcome is not OVERDUE:
            return outcome
        error = DeadlineExceededError(call.target, self.seconds if outcome is EXPIRED else None)
        error.__cause__, call.cancellation = call.cancellation, None
        if has_listeners():
            from resilience.events import TimedOut

            yield Emit(TimedOut(target=call.target, policy="deadline", limit=self.seconds))
        return Outcome.failed(error)

    def worst(self, inside: WorstCase) -> WorstCase:
        return inside.within(self.seconds)

    def __str__(self) -> str:
        return f"deadline({self.seconds:g})"

    def __repr__(self) -> str:
        return str(self)
