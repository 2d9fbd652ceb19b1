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

    from resilience.policy.worst import WorstCase

__all__ = ["MODES", "Timeout", "cut_short"]

MODES = ("thread", "signal")


class Timeout(Policy):
    """Let a call take at most *limit* seconds. *mode* is how a sync call is given up.

    Or let a stream take at most *first_item* seconds until its first item is there, and *idle* for each further one.
    """

    fast_path = True

    def __init__(
        self,
        limit: float | timedelta | None,
        mode: str = "thread",
        *,
        first_item: float | timedelta | None = None,
        idle: float | timedelta | None = None,
    ) -> None:
        self.interrupts: bool = one_of("mode", mode, MODES) == "signal"
        self.streams: bool = first_item is not None or idle is not None
        self.calls: bool = not self.streams
        self.idle: float | None = None if idle is None else seconds("idle", idle)
        if self.calls:
            self.limit: float | None = seconds("seconds", limit)
        else:
            self.limit = None if first_item is None else seconds("first_item", first_item)

    def after(self, call: Call, at: int, outcome: Outcome) -> Outcome | Steps[Outcome]:
        # By identity, not by type: a TimeoutError of the function's own passes as it is.
        if outcome is EXPIRED:
            expired = Outcome(None, CallTimeoutError(call.target, self._limit_of(call)))
        elif outcome is OVERDUE:
            expired = Outcome(None, DeadlineExceededError(call.target))
        else:
            return outcome
        cut_short(call, expired)
        return self._told(call, expired) if listened() else expired

    def _limit_of(self, call: Call) -> float:
        """Return the limit that *call* is under: another one once the first item of a stream is there."""
        limit = self.idle if call.committed else self.limit
        assert limit is not None, "nothing else can have passed"
        return limit

    def _told(self, call: Call, expired: Outcome) -> Steps[Outcome]:
        from resilience.events import TimedOut

        yield Emit(TimedOut(target=call.target, policy="timeout", limit=self._limit_of(call)))
        return expired

    def worst(self, inside: WorstCase) -> WorstCase:
        return inside if self.streams else super().worst(inside)  # nobody knows how many items there are

    def __str__(self) -> str:
        if self.calls:
            return f"timeout({self.limit:g}{', mode=signal' if self.interrupts else ''})"
        limits = {"first_item": self.limit, "idle": self.idle}
        return f"timeout({', '.join(f'{name}={limit:g}' for name, limit in limits.items() if limit is not None)})"


def cut_short(call: Call, expired: Outcome) -> None:
    """Have the error of a limit say where the call hung, as that of `asyncio.timeout` does."""
    cut, call.cut = call.cut, None
    if cut is not None and expired.error is not None:
        expired.error.__cause__ = cut
