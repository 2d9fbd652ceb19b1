"""A retry with two decisions of its own: which failures are worth another attempt, and how long to wait."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from resilience._decorators import retry_on_category
from resilience._outcome import Outcome
from resilience.categories import ErrorCategory, combine
from resilience.policies.retry import Retry
from resilience.policies.stop_reason import StopReason

if TYPE_CHECKING:
    from resilience._runtime.protocol import Call
    from resilience.policies._retry_state import RetryState

__all__ = ["Formula", "retries"]


@dataclasses.dataclass(frozen=True)
class Formula:
    """Seconds before retry *number* from 0: ``min(first * factor ** number, cap)``, with *jitter* times [0.5, 1).

    Unlike a `Backoff` it takes what the documents take: a first wait above the cap, and waits that shrink.

    >>> formula = Formula(first=1.0, factor=3.0, cap=5.0, jitter=True)
    >>> [formula.delay(number, draw=lambda: 0.0) for number in range(3)]
    [0.5, 1.5, 2.5]
    """

    first: float
    factor: float
    cap: float
    jitter: bool

    def delay(self, number: int, draw: Callable[[], float]) -> float:
        """Return the wait; *draw* gives numbers in [0, 1)."""
        try:
            wait = min(self.first * self.factor**number, self.cap)
        except OverflowError:  # near retry 1024
            wait = self.cap if self.first else 0.0
        return wait * (0.5 + draw() * 0.5) if self.jitter else wait


class _Literal(Retry):
    """A retry of the failures that are *worth* it, whose waits are computed by *formula*.

    All else is inherited: deadlines, events, reports, and that a cancelled call is not a failed one.
    """

    worth: Callable[[Exception], bool]
    formula: Formula

    def __init__(self, attempts: int, worth: Callable[[Exception], bool], formula: Formula) -> None:
        # One of these is made for every call: all other options, and what is read from the table, are those of `_ANY`.
        vars(self).update(vars(_ANY), attempts=attempts, worth=worth, formula=formula)

    def blocked_by(self, call: Call, outcome: Outcome, state: RetryState) -> StopReason | None:
        if outcome.error is None or not self.worth(outcome.error):
            return StopReason.NOT_RETRYABLE
        return super().blocked_by(call, outcome, state)

    def plan_wait(
        self, call: Call, outcome: Outcome, state: RetryState, wait: float | None = None
    ) -> StopReason | None:
        wait = self.formula.delay(state.attempts - 1, call.clock.random)
        return super().plan_wait(call, Outcome(), state, wait)  # without the error: the formula knows no Retry-After


# Everything but cancellation, which the engine takes out by itself.
_ANY = retry_on_category(combine("on", ErrorCategory), attempts=1, retry_exhausted=True)


def retries(attempts: int, worth: Callable[[Exception], bool], formula: Formula) -> Retry:
    """Return what calls a function up to *attempts* times."""
    return _Literal(attempts, worth, formula)
