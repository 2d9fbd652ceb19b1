"""The engine's retry with two decisions taken from it: which failures are worth another try, and how long to wait."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from resilience.category import ErrorCategory, combine
from resilience.decorators import retry_on_category
from resilience.guards import RetryGuard
from resilience.policy.again import FIRST_WAIT
from resilience.policy.retry import Retry
from resilience.policy.stop import StopReason

if TYPE_CHECKING:
    from resilience.policy.base import Call
    from resilience.policy.history import History

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
    """A retry for what is *worth* it, after what *formula* says.

    All else is the engine's: it keeps to deadlines, tells its events, writes its report, and never takes a cancelled
    call for a failed one.
    """

    worth: Callable[[Exception], bool]
    formula: Formula

    def __init__(self, attempts: int, worth: Callable[[Exception], bool], formula: Formula) -> None:
        # It is frozen, and what is not named here is as the one below has it, the readings of the table included: one
        # of these is made for every call.
        vars(self).update(vars(_ANY), attempts=attempts, worth=worth, formula=formula)

    def decide(
        self,
        call: Call,
        error: Exception | None,
        category: ErrorCategory,
        base: float | None,
        history: History,
        wait: float | None = None,
        result: object = None,
    ) -> StopReason | float:
        if base is None or error is None or not self.worth(error):
            return StopReason.NOT_RETRYABLE
        wait = self.formula.delay(history.made - 1, call.clock.random)
        # Without the error: the formula knows nothing of a Retry-After, nor of a retry further in that has given up.
        return super().decide(call, None, category, FIRST_WAIT, history, wait)


# Everything but cancellation, which the engine takes out by itself.
_ANY = cast("Retry", retry_on_category(combine("on", ErrorCategory), attempts=1).policies()[0])


def retries(attempts: int, worth: Callable[[Exception], bool], formula: Formula) -> RetryGuard:
    """Return what calls a function up to *attempts* times."""
    return RetryGuard(_Literal(attempts, worth, formula))
