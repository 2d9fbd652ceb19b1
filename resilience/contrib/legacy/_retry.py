"""A retry that decides by a predicate of the caller and waits by a fixed formula, as the ported interfaces say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from resilience._decorators import retry_on_category
from resilience._outcome import Outcome
from resilience.categories import ErrorCategory, combine
from resilience.policies.backoff import equal_jitter
from resilience.policies.retry import Retry
from resilience.policies.stop_reason import StopReason

if TYPE_CHECKING:
    from resilience._runtime.protocol import Call
    from resilience.policies._retry_state import RetryState

__all__ = ["ExactRetry", "FixedBackoff"]


@dataclasses.dataclass(frozen=True)
class FixedBackoff:
    """Seconds before retry *number* from 0: ``min(first * factor ** number, cap)``, with *jitter* times [0.5, 1).

    Unlike a `Backoff` it takes all values that the ported interfaces take: a first wait above the cap, and waits that
    shrink.

    >>> backoff = FixedBackoff(first=1.0, factor=3.0, cap=5.0, jitter=True)
    >>> [backoff.delay(number, draw=lambda: 0.0) for number in range(3)]
    [0.5, 1.5, 2.5]
    """

    first: float
    factor: float
    cap: float
    jitter: bool

    def delay(self, number: int, draw: Callable[[], float]) -> float:
        """Return the wait; *draw* gives numbers in [0, 1)."""
        wait = self._capped(number)
        if self.jitter:
            return equal_jitter(wait, draw())
        return wait

    def _capped(self, number: int) -> float:
        if self.first == 0:
            return 0.0
        try:
            return min(self.first * self.factor**number, self.cap)
        except OverflowError:  # near retry 1024
            return self.cap


class ExactRetry(Retry):
    """A retry of the failures that *is_retryable* accepts, whose waits *backoff* computes: up to *attempts* calls.

    All else is inherited: deadlines, events, reports, and that a cancelled call is not a failed one.
    """

    is_retryable: Callable[[Exception], bool]
    fixed_backoff: FixedBackoff

    def __init__(self, attempts: int, is_retryable: Callable[[Exception], bool], backoff: FixedBackoff) -> None:
        # One of these is made for every call: all other options, and what is read from the profile table, are copied.
        vars(self).update(vars(_TEMPLATE), attempts=attempts, is_retryable=is_retryable, fixed_backoff=backoff)

    def blocked_by(self, call: Call, outcome: Outcome, state: RetryState) -> StopReason | None:
        if outcome.error is None or not self.is_retryable(outcome.error):
            return StopReason.NOT_RETRYABLE
        return super().blocked_by(call, outcome, state)

    def plan_wait(
        self, call: Call, outcome: Outcome, state: RetryState, wait: float | None = None
    ) -> StopReason | None:
        wait = self.fixed_backoff.delay(state.attempts - 1, call.clock.random)
        return super().plan_wait(call, Outcome(), state, wait)  # without the error: Retry-After changes no exact wait


_TEMPLATE = retry_on_category(combine("on", ErrorCategory), attempts=1, retry_exhausted=True)
"""A retry of every category; cancellation is no failure and never reaches it."""
