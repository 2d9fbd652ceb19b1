"""One hedged call: the `Race` that a hedge yields, with its decisions about each copy.

The runner asks it before a further copy begins, and reports each failure and the copy that has won to it. What all
calls of a key share is in `HedgeState`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience._outcome import Outcome
from resilience._runtime.protocol import Call, OnFailure, Race
from resilience._shutdown import is_shutting_down
from resilience.categories import ErrorCategory
from resilience.classification.classifier import category_of
from resilience.policies._hedge_events import copy_started, copy_won, hedge_paused
from resilience.policies._hedge_state import PAUSE_SECONDS, HedgeState
from resilience.policies._repeatable import may_be_made_twice, may_follow
from resilience.policies._retry_decision import server_delay
from resilience.policies._slot_policy import SlotPolicy

if TYPE_CHECKING:
    from resilience.policies.hedge import Hedge

__all__ = ["HedgedCall"]

_OVERLOADED = ErrorCategory.RATE_LIMIT | ErrorCategory.CAPACITY | ErrorCategory.REJECTED
"""Failures by which a server, or a policy inside, asks for fewer calls."""
_UNREACHED = ErrorCategory.NETWORK | ErrorCategory.UNAVAILABLE
"""Failures of one server, or of the way to it: another copy may succeed at once."""
_MAY_DIFFER = ErrorCategory.INFRASTRUCTURE | _OVERLOADED
"""Failures that say nothing about the other copies. All others are the call's own: each copy would fail with them."""

# The reasons of events.
_SLOW, _FAILED, _QUEUE, _NO_GAIN = "slow", "failed", "queue", "no_gain"


class HedgedCall(Race):
    """The race of one call: it admits copies within the budgets, and learns from how they end.

    It is made for each call, most of which end with their first copy: to make it must be cheap, and all that is asked
    about a further copy is asked when one is about to begin.
    """

    __slots__ = ("_began", "_call", "_copies", "_hedge", "_reason", "_state")

    def __init__(self, hedge: Hedge, state: HedgeState, call: Call) -> None:
        self._hedge = hedge
        self._state = state
        self._call = call
        self._began = call.clock.now()
        #: The further copies that have begun, and why the next one does: "failed" once any copy has.
        self._copies = 0
        self._reason = _SLOW
        # Not by `super().__init__`, which checks what the hedge has checked.
        self.copies: int = hedge.copies
        self.delay: float = state.delay

    @property
    def in_threads(self) -> bool:  # type: ignore[override]  # of the hedge
        return self._hedge.to_threads

    def begin(self, copy: Call, number: int) -> bool:
        """Return whether a copy may begin: the hedge is not paused, the call may happen twice, the budgets allow it.

        What may be asked again without harm is asked before the budgets, which it would use up.
        """
        now = copy.clock.now()
        if not self._helps_now(copy, now) or not may_be_made_twice(copy) or not self._hedge.pay(now):
            return False
        self._hedge.give_function(copy, number)
        self._copies = number
        self._state.copies += 1
        copy_started(self._call, number, self._reason, now - self._began)
        return True

    def _helps_now(self, copy: Call, now: float) -> bool:
        """Whether a copy can be quicker than the call: not in a pause, a shutdown, or while calls wait for capacity."""
        if now < self._state.paused_until or is_shutting_down() or self._state.lacks_capacity:
            return False
        if not any(isinstance(policy, SlotPolicy) and policy.has_queue(copy) for policy in copy.stack):
            return True
        self._pause(_QUEUE, PAUSE_SECONDS)
        return False

    def judge(self, failure: Outcome) -> OnFailure:
        """Return what the failure of a copy means for the others, by its category.

        Where a server asks for fewer calls, the hedge pauses, and the copies in flight go on. Where one was not reached
        the next copy begins, unless the call may have been processed and must not happen twice. A failure of the call
        itself, such as an invalid argument, ends all copies.
        """
        self._reason = _FAILED
        category, delay = category_of(failure), server_delay(failure)
        if category in _OVERLOADED or (category in _UNREACHED and delay is not None):
            self._pause(category.label, delay or 0.0)
            return OnFailure.WAIT
        if category in _UNREACHED and may_follow(self._call, failure):
            return OnFailure.NEXT
        if category in _MAY_DIFFER:
            return OnFailure.WAIT
        return OnFailure.END

    def won(self, number: int) -> None:
        """Learn from the success of a copy.

        Where no copy has failed, the latency of the first one is known: it has ended now, or takes longer than until
        now. That of a further copy teaches nothing, as only the quick ones win.
        """
        now = self._call.clock.now()
        if self._reason is _SLOW:
            self._state.observe(now - self._began, now)
        if not self._copies:
            self._hedge.earn(self._call)
        elif self._state.record_race(won=number > 0):
            self._pause(_NO_GAIN, PAUSE_SECONDS)
        if number:
            copy_won(self._call, number, now - self._began)

    def _pause(self, reason: str, seconds: float) -> None:
        """Make no copies for a while; an event says so where a pause begins, and not where it is prolonged."""
        now = self._call.clock.now()
        begins = now >= self._state.paused_until
        seconds = self._state.pause(now, seconds)
        if begins:
            hedge_paused(self._call, reason, seconds)
