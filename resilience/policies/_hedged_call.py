"""One hedged call: the `Race` that a hedge yields, with its decisions about each copy.

The runner asks it before a further copy begins, tells it of each failure, and of the copy that has won. What all calls
of a key share is in `HedgeState`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience._listeners import emit, has_listeners
from resilience._outcome import Outcome
from resilience._runtime.protocol import Call, OnFailure, Race
from resilience.categories import ErrorCategory
from resilience.classification.classifier import category_of
from resilience.classification.retry_hints import retry_after
from resilience.policies._hedge_state import PAUSE_SECONDS, HedgeState
from resilience.policies._repeatable import may_be_made_twice, may_follow
from resilience.policies.bulkhead import Bulkhead
from resilience.profiles import profile_for

if TYPE_CHECKING:
    from resilience.policies.hedge import Hedge

__all__ = ["HedgedCall"]

_OVERLOADED = ErrorCategory.RATE_LIMIT | ErrorCategory.CAPACITY | ErrorCategory.REJECTED
"""Failures by which a server, or a policy inside, asks for fewer calls."""
_UNREACHED = ErrorCategory.NETWORK | ErrorCategory.UNAVAILABLE
"""Failures of one server, or of the way to it: another copy may succeed at once."""
_MAY_DIFFER = ErrorCategory.INFRASTRUCTURE | _OVERLOADED
"""Failures that say nothing about the other copies. All others are the call's own: each copy would fail with them."""


class HedgedCall(Race):
    """The race of one call: it admits copies within the budgets, and learns from how they end."""

    __slots__ = ("_began", "_call", "_copies", "_failed", "_hedge", "_state")

    def __init__(self, hedge: Hedge, state: HedgeState, call: Call) -> None:
        self._hedge = hedge
        self._state = state
        self._call = call
        self._began = call.clock.now()
        #: The further copies that have begun, and whether any copy has failed.
        self._copies = 0
        self._failed = False
        # Not by `super().__init__`, which checks what the hedge has checked.
        self.copies: int = hedge.copies
        self.delay: float = state.delay

    @property
    def in_threads(self) -> bool:  # type: ignore[override]  # of the hedge
        return self._hedge.to_threads

    def begin(self, copy: Call, number: int) -> bool:
        """Return whether a copy may begin: the hedge is not paused, the call may happen twice, the budgets allow it."""
        now = copy.clock.now()
        if now < self._state.paused_until or not may_be_made_twice(copy):
            return False
        if any(isinstance(policy, Bulkhead) and policy.has_queue(copy) for policy in copy.stack):
            self._pause("queue", PAUSE_SECONDS)
            return False
        if self._state.lacks_capacity or not self._pay(now):
            return False
        self._hedge.give_function(copy, number)
        self._copies = number
        self._state.copies += 1
        if has_listeners():
            self._announce_copy(number, now)
        return True

    def _pay(self, now: float) -> bool:
        """Pay for a copy: a call of the hedge's share, and, of a shared budget, what a retry after a time-out costs."""
        if not self._hedge.extra_calls.take():
            return False
        budget = self._hedge.retry_budget
        if budget is None or budget.spend(profile_for(ErrorCategory.TIMEOUT).cost, now) is not None:
            return True
        self._hedge.extra_calls.give_back()
        return False

    def judge(self, failure: Outcome) -> OnFailure:
        """Return what the failure of a copy means for the others, by its category.

        Where a server asks for fewer calls, the hedge pauses, and the copies in flight go on. Where one was not reached
        the next copy begins, unless the call may have been processed and must not happen twice. A failure of the call
        itself, such as an invalid argument, ends all copies.
        """
        self._failed = True
        category = category_of(failure)
        hint = failure.error and retry_after(failure.error)
        if category in _OVERLOADED or (category in _UNREACHED and hint is not None):
            self._pause(category.label, hint or 0.0)
            return OnFailure.WAIT
        if category in _UNREACHED and may_follow(self._call, failure):
            return OnFailure.NEXT
        if category in _MAY_DIFFER:
            return OnFailure.WAIT
        return OnFailure.END

    def won(self, number: int) -> None:
        """Learn from the success of a copy: the latency of the first one, which is longer yet where another has won."""
        now = self._call.clock.now()
        if not self._failed:
            self._state.observe(now - self._began, now)
        if self._copies:
            if self._state.record_race(won=number > 0):
                self._pause("no_gain", PAUSE_SECONDS)
        else:
            self._hedge.earn(self._call)
        if number and has_listeners():
            from resilience.events import HedgeWon

            emit(HedgeWon(target=self._call.target, policy="hedge", copy=number, seconds=now - self._began))

    def _pause(self, reason: str, seconds: float) -> None:
        """Make no copies for a while."""
        was_paused = self._call.clock.now() < self._state.paused_until
        seconds = self._state.pause(self._call.clock.now(), seconds)
        if not was_paused and has_listeners():
            from resilience.events import HedgePaused

            emit(HedgePaused(target=self._call.target, policy="hedge", reason=reason, seconds=seconds))

    def _announce_copy(self, number: int, now: float) -> None:
        from resilience.events import HedgeStarted

        reason = "slow"
        if self._failed:
            reason = "failed"
        delay = now - self._began
        emit(HedgeStarted(target=self._call.target, policy="hedge", copy=number, reason=reason, delay=delay))
