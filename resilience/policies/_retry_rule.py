"""Rules of a retry by category: its options that go by category, merged with the rows of the table.

A retry reads its `RetryRule` of a category at every failure, so everything that depends on the category alone is worked
out once: whether it is retried, its waits, what a retry costs, and how many of its failures a call may have.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TypeVar

from resilience._validation import parse_count, parse_duration, require, require_mapping
from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.integrations.tenacity import Strategy, validate_strategy
from resilience.policies.backoff import Backoff
from resilience.profiles import Profile

__all__ = ["DEFAULT_BASE_DELAY", "RetryRule", "parse_max_attempts", "parse_waits", "require_by_category"]

T = TypeVar("T")

DEFAULT_BASE_DELAY = 0.1
"""Seconds, for a category that is not retried by default and so has no base delay of its own."""

_DEFAULT_COST = 14
"""Tokens that the retry of a result takes, or of a failure whose category has no cost as it is not retried."""


@dataclasses.dataclass(frozen=True, slots=True)
class RetryRule:
    """The rule by which one retry treats failures of one category. Durations in seconds.

    Made by `of` from the category's row. The rules of a retry are a `DerivedTable`: a rule is made when the category
    is met for the first time, and made anew when its row is overridden.

    >>> from resilience.profiles import profile_of
    >>> rule = RetryRule.of(None, Backoff(), None, {}, {}, profile_of("rate_limit"))
    >>> rule.retried, rule.base_delay, rule.cost
    (True, 1.0, 5)
    """

    row: Profile
    #: Whether a failure is retried for its category alone; ``retry_if`` may retry others.
    retried: bool
    #: The first wait after a failure, unless the backoff has its own.
    base_delay: float
    backoff: Backoff
    #: A function that returns the wait in place of the backoff.
    wait_strategy: Strategy | None
    #: After so many failures of the category no attempt follows; infinity without a limit.
    max_failures: float
    #: The tokens that a retry takes from the budget.
    cost: int

    @classmethod
    def of(
        cls,
        on: ErrorCategory | None,
        backoff: Backoff,
        wait: Strategy | None,
        waits: Mapping[int, Backoff | Strategy],
        max_attempts: Mapping[int, int],
        row: Profile,
    ) -> RetryRule:
        """Return the rule for the category of *row*.

        It is retried where it is among *on*; without *on*, where its row says so. A cancelled call never is. *waits*
        go before the *wait* for all categories, which goes before the common *backoff*.
        """
        leaf = row.category
        bit = leaf.value
        retried = row.retry
        if on is not None:
            retried = leaf in on
        strategy = waits.get(bit, wait)
        if isinstance(strategy, Backoff):
            backoff, strategy = strategy, None
        cost = row.cost
        if not (cost or row.retry):
            cost = _DEFAULT_COST
        return cls(
            row=row,
            retried=retried and leaf is not ErrorCategory.CANCELLED,
            base_delay=float(DEFAULT_BASE_DELAY if row.base is None else row.base),
            backoff=backoff,
            wait_strategy=strategy,
            max_failures=max_attempts.get(bit, math.inf),
            cost=cost,
        )


# -- options by category -----------------------------------------------------------------------------------------------


def parse_max_attempts(max_attempts: Mapping[CategoryLike, int] | None) -> dict[int, int]:
    """Return how many failures of a category a call may have, by the bit of the category.

    Raises TypeError or ValueError for anything but whole numbers of 1 or more by category.
    """
    return {
        leaf.value: parse_count(f"max_attempts[{leaf.label!r}]", limit)
        for leaf, limit in _by_leaf("max_attempts", max_attempts, "{'timeout': 2}; attempts= is for all")
    }


def parse_waits(
    waits: Mapping[CategoryLike, Backoff | Strategy | float | timedelta] | None, default: Backoff
) -> dict[int, Backoff | Strategy]:
    """Return the waits of the categories that have their own, by the bit of the category.

    A wait is seconds, which are waited without jitter, a `Backoff`, or a wait strategy. Raises ValueError for seconds
    above the *default* backoff's cap, which they would be cut to.

    >>> waits = parse_waits({"transient": 1, "rate_limit": 5}, Backoff())
    >>> waits[ErrorCategory.TIMEOUT.value].delay(0, 0.1, 0.0, float), waits[ErrorCategory.RATE_LIMIT.value].first
    (1.0, 5.0)
    """
    found: dict[int, Backoff | Strategy] = {}
    for leaf, wait in _by_leaf("waits", waits, "{'rate_limit': 5}"):
        found[leaf.value] = _parse_wait(f"waits[{leaf.label!r}]", wait, default)
    return found


def _parse_wait(parameter: str, wait: Backoff | Strategy | float | timedelta, default: Backoff) -> Backoff | Strategy:
    if isinstance(wait, Backoff):
        return wait
    if callable(wait):
        return validate_strategy(parameter, wait)
    fixed = parse_duration(parameter, wait, zero=True)
    require(fixed <= default.cap, parameter, wait, f"at most max_delay={default.cap:g}")
    return Backoff(fixed, default.cap, 1.0, "none")


def require_by_category(
    parameter: str, given: Mapping[CategoryLike, T] | None, example: str
) -> Mapping[CategoryLike, T]:
    """Return a mapping by category, an empty one where none was given. Raises TypeError for anything else."""
    if given is None:
        return {}
    require_mapping(parameter, given, f"a mapping by category, such as {example}")
    return given


def _by_leaf(parameter: str, given: Mapping[CategoryLike, T] | None, example: str) -> Iterator[tuple[ErrorCategory, T]]:
    """Yield what is given for each leaf; of two keys that name it, the one that names fewer comes last, and holds."""
    keys = [(combine(parameter, [key]), value) for key, value in require_by_category(parameter, given, example).items()]
    for category, value in sorted(keys, key=lambda each: -len(each[0])):
        for leaf in category:
            yield leaf, value
