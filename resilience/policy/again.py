"""Whether a call is made again, and after how long: the parameters of a retry, and what they decide."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from resilience.category import ErrorCategory, combine
from resilience.classify.decide import categories_of
from resilience.classify.hint import retry_after, retry_after_of_result
from resilience.policy.backoff import Backoff
from resilience.policy.base import Call
from resilience.policy.give_ups import GIVE_UPS
from resilience.policy.history import CallReport, History
from resilience.policy.nested import exhausted_inside
from resilience.policy.stop import StopReason
from resilience.profile import Profile, Reading

if TYPE_CHECKING:
    from resilience.policy.budget import RetryBudget
    from resilience.policy.idempotency import Idempotency
    from resilience.policy.revision import Reviser
    from resilience.policy.strategies import Strategies
    from resilience.policy.worst import WorstCase

__all__ = ["FIRST_WAIT", "Again", "base_of"]

_COST = 14
"""Tokens that the retry of a result takes, or of a failure that the table does not retry and so gives no cost."""

FIRST_WAIT = 0.1
"""Seconds, for a category that is not retried by default and so has no base of its own."""

_CANCELLED = ErrorCategory.CANCELLED  # by a name of its own: on CPython 3.11 a member of an enum is a call to find
_NOT_RETRYABLE, _ATTEMPTS = StopReason.NOT_RETRYABLE, StopReason.ATTEMPTS


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Again:
    """Retry failures whose category is in *on*, at most *attempts* calls in all (None: no limit).

    Without *on* the table decides: the categories whose row says ``retry``, which are TRANSIENT as shipped. Where a
    parameter goes by category, its keys are the bits of leaves.
    """

    on: ErrorCategory | None
    attempts: int | None
    #: How many failures of a category there may be.
    most: Mapping[int, int]
    backoff: Backoff
    backoffs: Mapping[int, Backoff]
    strategies: Strategies | None
    budget: RetryBudget | None
    #: Whether a call may happen twice; None: any.
    idempotency: Idempotency | None
    #: Whether a failure is retried that a retry further in has given up on.
    retry_exhausted: bool
    #: Seconds: with fewer left no attempt begins.
    min_attempt_time: float
    #: How many failures in a row may look the same; None: any number.
    no_progress: int | None
    reviser: Reviser | None
    retry_if_result: Callable[[Any], object] | None
    on_retry: Callable[..., object] | None
    on_success: Callable[[CallReport], object] | None
    wraps: bool
    profiles: Mapping[int, Profile]

    #: The first wait of each category that is retried, None for the others; by bit, as all that goes by category.
    bases: Reading[float | None] = dataclasses.field(init=False, repr=False)
    rows: Reading[Profile] = dataclasses.field(init=False, repr=False)
    judges_results: bool = dataclasses.field(init=False, repr=False)
    #: Whether somebody is to be asked or told of every failure.
    slow: bool = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        on = ErrorCategory.TRANSIENT if self.on is None else combine("on", [self.on])
        if on is _CANCELLED:
            raise ValueError("on='cancelled': a cancelled call is never retried; name another category")
        asks = self.retry_if_result is not None or (
            self.strategies is not None and self.strategies.retry_if is not None
        )
        slow = asks or self.strategies is not None or self.on_retry is not None or self.on_success is not None
        slow = slow or self.no_progress is not None or self.reviser is not None
        # Not a method of this: a loop makes a policy each time, which must not wait for the garbage collector.
        object.__setattr__(self, "bases", Reading(functools.partial(_first_wait, self.on), self.profiles))
        object.__setattr__(self, "rows", Reading(_itself, self.profiles))
        object.__setattr__(self, "judges_results", asks)
        object.__setattr__(self, "slow", slow)

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
        """Decide after a failure whose category begins to wait with *base*; None is one that is not retried.

        *wait* is what a strategy says; without it backoff does. Without an error it was the *result* that failed.
        """
        if base is None:
            return _NOT_RETRYABLE
        if call.committed:
            return StopReason.COMMITTED
        bit = category._value_
        inside = None
        # An inner retry was exhausted since the attempt began. By this error?
        if history.since != GIVE_UPS.count and error is not None:
            inside = exhausted_inside(error, history.since)
            if inside is not None and not self.retry_exhausted:
                return StopReason.NESTED
        if self.idempotency is not None:
            # Of several attempts that an inner retry has made, the last one proves nothing about the others.
            proven = inside is None and self._changed_nothing(error, bit, result)
            if not proven and not self.idempotency.allows(call):
                return StopReason.NOT_IDEMPOTENT
        made = history.made - history.revisions
        if self.attempts is not None and made >= self.attempts:
            return _ATTEMPTS
        if self.most and bit in self.most:
            kinds = history.kinds = history.kinds or {}
            kinds[bit] = kinds.get(bit, 0) + 1
            if kinds[bit] >= self.most[bit]:
                return _ATTEMPTS
        if self.no_progress is not None and history.alike >= self.no_progress:
            return StopReason.NO_PROGRESS
        backoff = self.backoffs.get(bit, self.backoff) if self.backoffs else self.backoff
        if wait is None:
            wait = backoff.delay(made - 1, base, history.last_wait, call.clock.random)
        hint = retry_after_of_result(result) if error is None else retry_after(error)
        if hint is not None:
            if hint > backoff.cap:
                return StopReason.PUSHBACK
            # As long as the other side asks for, where that is longer. Whoever was told the same second must not come
            # back in the same second: a tenth of it at random.
            wait = max(hint, wait) + call.clock.random() * 0.1 * hint
        # Now, and not when the attempt failed: to be told how long to wait may have taken its time as well.
        return StopReason.DEADLINE if call.due != math.inf and self.is_too_late(call, wait) else wait

    def cost(self, category: ErrorCategory) -> int:
        """Return the tokens that a retry after a failure of *category* takes from the budget."""
        row = self.rows[category._value_]
        return row.cost or (0 if row.retry else _COST)

    def is_too_late(self, call: Call, wait: float) -> bool:
        """Whether an attempt that began after *wait* seconds could not end in time."""
        return call.due != math.inf and call.clock.now() + wait + self.min_attempt_time >= call.due

    def _changed_nothing(self, error: Exception | None, bit: int, result: object) -> bool:
        from resilience.policy.idempotency import may_be_sent_again, result_may_be_followed_by_another

        if error is None:
            return result_may_be_followed_by_another(self.rows[bit], result)
        return may_be_sent_again(self.rows[bit], error, lambda leaf: self.rows[leaf._value_])

    def wants_all(self, group: Exception) -> bool:
        """Whether a group of exceptions is one to retry."""
        # Every member must be one to retry; the group's own category is that of one of them.
        return all(self.bases[leaf.value] is not None for leaf in categories_of(group))

    def worst(self, inside: WorstCase) -> WorstCase:
        from resilience.policy.worst import longest_waits

        retried = [leaf for leaf in ErrorCategory if self.bases[leaf._value_] is not None]
        bits = sum(leaf._value_ for leaf in retried)
        # What has been given up further in is not tried again: then these attempts are not multiplied by those.
        again = self.retry_exhausted or bool(bits & ~inside.retried) or self.judges_results
        attempts = (math.inf if self.attempts is None else self.attempts) if again else 1
        attempts += 0 if self.reviser is None else self.reviser.most
        retries = attempts - 1
        waits = max(
            (
                longest_waits(self.backoffs.get(leaf._value_, self.backoff), self.bases[leaf._value_] or 0.0, retries)
                for leaf in retried
            ),
            default=0.0,
        )
        if retries and self.strategies is not None and (self.strategies.wait is not None or self.strategies.waits):
            waits = math.inf  # who knows
        caps = [self.backoff.cap, *(backoff.cap for backoff in self.backoffs.values())]
        return inside._replace(
            calls=attempts * inside.calls,
            waits=waits + (attempts * inside.waits if inside.waits else 0.0),  # infinity times 0 is no number
            seconds=attempts * inside.seconds + waits,
            hint=max(inside.hint, 1.1 * max(caps)) if retries else inside.hint,
            retried=inside.retried | bits,
        )

    def __str__(self) -> str:
        on = ErrorCategory.TRANSIENT if self.on is None else self.on
        parts = [on.label, f"attempts={'unlimited' if self.attempts is None else self.attempts}"]
        if self.strategies is None or self.strategies.wait is None:
            base = "by category" if self.backoff.base_delay is None else f"{self.backoff.base_delay:g}"
            parts += [f"base_delay={base}", f"max_delay={self.backoff.cap:g}", f"jitter={self.backoff.jitter}"]
        if self.strategies is not None:
            names = {name: getattr(self.strategies, name) for name in ("wait", "stop", "retry_if")}
            parts += [f"{name}={type(given).__name__}" for name, given in names.items() if given is not None]
        if self.most:
            parts.append(
                f"max_attempts={{{', '.join(f'{ErrorCategory(bit)}: {most}' for bit, most in self.most.items())}}}"
            )
        if self.budget is not None:
            parts.append(f"budget={self.budget.name or 'unnamed'}")
        if self.idempotency is not None:
            parts.append(f"idempotent={self.idempotency}")
        if self.reviser is not None:
            parts.append(f"max_revisions={self.reviser.most}")
            if not self.reviser.usual:
                parts.append(f"revise_on={self.reviser.on.label}")
        if self.no_progress is not None:
            parts.append(f"no_progress={self.no_progress}")
        if self.min_attempt_time:
            parts.append(f"min_attempt_time={self.min_attempt_time:g}")
        if self.retry_exhausted:
            parts.append("retry_exhausted=True")
        if self.wraps:
            parts.append("on_exhausted=wrap")
        return f"retry_on_category({', '.join(parts)})"


def _first_wait(on: ErrorCategory | None, row: Profile) -> float | None:
    """Return the first wait of a category that is retried, None of one that is not."""
    wanted = row.retry if on is None else row.category in on
    return base_of(row) if wanted and row.category is not _CANCELLED else None


def base_of(row: Profile) -> float:
    """Return the first wait after a failure of a category, in seconds."""
    return FIRST_WAIT if row.base is None else float(row.base)


def _itself(row: Profile) -> Profile:
    return row
