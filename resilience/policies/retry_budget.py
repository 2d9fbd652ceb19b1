"""Retry budget: a limit on the retries that all callers together send to one dependency.

A limit of attempts bounds the load that one call adds; when every call fails, every call adds it. A budget bounds the
load that all of them add. Successes pay for it, not calls: a dependency that answers no call earns no retry.
"""

from __future__ import annotations

import math
import threading

from resilience._forks import fork_safe
from resilience._process_bound import ProcessBound
from resilience._validation import optional, parse_number, require
from resilience.policies._living import Living

__all__ = ["RetryBudget", "retry_budgets"]


class RetryBudget(ProcessBound):
    """The retries that all callers of one dependency may make: one object, given to each of them.

    It holds *tokens*, all of them at first. A retry costs what its category's row says (`Profile.cost`): 14, or 5 where
    the server turned the call away; that of a result costs 14. A call that succeeds at once pays 1 back, one that
    succeeds after retries what the last of them cost. When the tokens do not suffice, *reserve* retries per second are
    made all the same, so that a dependency with few calls is still retried; 0 switches that off. The numbers are those
    of the AWS SDKs, the reserve is that of Finagle.

    >>> budget = RetryBudget("billing", tokens=20, reserve=0)
    >>> budget.spend(14, now=0.0), budget.spend(14, now=0.1)
    (14.0, None)
    >>> budget.refund(14)
    >>> print(budget)
    budget 'billing': 20 of 20 tokens left
    """

    __slots__ = (
        "__weakref__",
        "_folded",
        "_left",
        "_lock",
        "_saved",
        "_saved_at",
        "name",
        "passes",
        "reserve",
        "tokens",
    )

    def __init__(self, name: str | None = None, *, tokens: float = 500, reserve: float = 1.0) -> None:
        expected = "a number above 0: what retries may cost together before a success has paid"
        self.tokens: float = parse_number("tokens", tokens, expected, least=0.0, above=True)
        expected = "retries per second of 0 or more: those made even when no tokens are left"
        self.reserve: float = parse_number("reserve", reserve, expected, least=0.0)
        self.name: str | None = optional(_parse_name, "name", name)
        #: How many calls succeeded at the first attempt, counted on the happy path, without the lock. It only grows:
        #: were it set to 0 where it is read, a success counted meanwhile would be undone, or counted twice.
        self.passes: int = 0
        self._folded = 0  # the passes that are in `_left`
        self._left = self.tokens
        self._saved = max(1.0, self.reserve)
        self._saved_at = -math.inf  # when `_saved` was right, by the caller's clock; at the beginning, at any time
        self._lock = fork_safe(threading.Lock())
        _budgets.add(self)

    def _instead_of_pickling(self) -> tuple[str, str]:
        return f"the retry budget {self.name!r}", "make it in a module that each process imports"

    def spend(self, cost: float, now: float) -> float | None:
        """Pay for a retry: return the tokens it took, 0.0 where the reserve paid; None: do not retry.

        *cost* is in tokens, *now* is the caller's monotonic clock, in seconds. Raises ValueError for a cost below 0.
        """
        require(cost >= 0, "cost", cost, "tokens of 0 or more")
        with self._lock:
            self._fold()
            if self._left >= cost:
                self._left -= cost
                return float(cost)
            if self._draw(now):
                return 0.0
            return None

    def refund(self, cost: float) -> None:
        """Give back the *cost* of a retry that was followed by a success: what `spend` returned for it, no more.

        A retry out of the reserve took no tokens and returns none, or the reserve would fill the bucket.
        """
        require(cost >= 0, "cost", cost, "tokens of 0 or more")
        with self._lock:
            self._left = min(self.tokens, self._left + cost)

    def left(self) -> float:
        """Return the number of tokens left, 0 to `tokens`."""
        with self._lock:
            self._fold()
            return self._left

    def _fold(self) -> None:
        # Without a GIL a thread can set `passes` back to what it read before others counted. Those are lost then,
        # which is strict; following it back would count later ones twice.
        passes = self.passes
        if passes > self._folded:
            self._left = min(self.tokens, self._left + (passes - self._folded))
            self._folded = passes

    def _draw(self, now: float) -> bool:
        """Take one retry out of the reserve, which refills by time."""
        if not self.reserve:
            return False
        self._refill(now)
        if self._saved < 1:
            return False
        self._saved -= 1
        return True

    def _refill(self, now: float) -> None:
        """Add to the reserve what the time since the last refill is worth, up to a second's worth, or one retry."""
        before = self._saved_at
        capacity = max(1.0, self.reserve)
        if now >= before:
            self._saved = min(capacity, self._saved + (now - before) * self.reserve)
            self._saved_at = now
        elif (before - now) * self.reserve > capacity:
            # Earlier by more than a refill takes: the clock was set back, or is another one, and holds from here on.
            # Earlier by less: a thread waited for the lock. To go back to its time would refill twice.
            self._saved_at = now

    def __repr__(self) -> str:
        options = f"tokens={self.tokens:g}, reserve={self.reserve:g}"
        if self.name is None:
            return f"RetryBudget({options})"
        return f"RetryBudget({self.name!r}, {options})"

    def __str__(self) -> str:
        left = f"{self.left():g} of {self.tokens:g} tokens left"
        if self.name is None:
            return f"budget: {left}"
        return f"budget {self.name!r}: {left}"


_budgets = Living[RetryBudget]()


def retry_budgets() -> list[RetryBudget]:
    """Return all retry budgets of this process, for the admin page."""
    return _budgets.all()


def _parse_name(parameter: str, name: str) -> str:
    expected = "a name, such as that of the dependency; or None"
    require(isinstance(name, str), parameter, name, expected, TypeError)
    require(name != "", parameter, name, expected)
    return name
