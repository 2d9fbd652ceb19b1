"""Rate limits that are counted in a storage of the library ``limits``: in Redis, say, for all processes of a service.

The library has the storages and the strategies; it neither waits nor knows deadlines. The policy here does: it asks the
strategy, and where that says no it waits until the window ends, and asks again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable, Mapping
from datetime import timedelta
from typing import Any, Protocol, cast

from resilience._outcome import Outcome
from resilience._runtime.callables import is_async
from resilience._runtime.protocol import PROCEED, Call, Run, Sleep
from resilience._runtime.worst_case import WorstCase
from resilience._safe_access import safe_getattr
from resilience._validation import optional, parse_count, parse_duration, require
from resilience.errors.base import RateLimitedError
from resilience.policies._announce import announce
from resilience.policies._keyed import from_arguments, parse_key
from resilience.policies._rate_limiting import latest_start, rejected, worst_wait
from resilience.policies.base import Policy, Steps

__all__ = ["LimitsRateLimit"]

_SHORTEST_WAIT = 0.01
"""Seconds before the strategy is asked again, where its window has ended by its own account."""


class _Strategy(Protocol):
    """The part of the strategies of ``limits`` that is used; those of ``limits.aio`` return awaitables."""

    def hit(self, item: object, *identifiers: str, cost: int = 1) -> object: ...

    def get_window_stats(self, item: object, *identifiers: str) -> object: ...


class LimitsRateLimit(Policy):
    """Make calls that a strategy of ``limits`` admits; let further ones wait, and refuse those that cannot.

    Made by `RateLimit.from_limits`. An object of ``limits.strategies`` guards sync and async functions, its storage
    being asked in a worker thread for the latter; one of ``limits.aio.strategies`` guards async functions.

    Args:
        limiter: a strategy, with its storage.
        rate: a text that ``limits.parse`` reads, or a `RateLimitItem`.
        name: the dependency, for errors and events; the first identifier in the storage.
        cost: how much of the limit a call takes.
        max_wait: the longest wait, in seconds; 0: none; unless given, up to the call's deadline.
        key: a function of the call's arguments: the second identifier, as text.

    Waiting calls are not in a queue: which of them goes first is the storage's choice. An error of the storage is that
    of the call. A refused call raises `RateLimitedError`.
    """

    def __init__(
        self,
        limiter: object,
        rate: object,
        *,
        name: str = "limits",
        cost: int = 1,
        max_wait: float | timedelta | None = None,
        key: Callable[..., Hashable] | None = None,
    ) -> None:
        strategy = "a strategy of limits, such as limits.strategies.MovingWindowRateLimiter(storage)"
        is_strategy = all(callable(safe_getattr(limiter, each)) for each in ("hit", "get_window_stats"))
        require(is_strategy, "limiter", limiter, strategy, TypeError)
        require(isinstance(name, str) and bool(name.strip()), "name", name, "the dependency's name, such as 'geocoder'")
        self.name: str = name
        self.cost: int = parse_count("cost", cost)
        self.max_wait: float | None = optional(functools.partial(parse_duration, zero=True), "max_wait", max_wait)
        self.key: Callable[..., Hashable] | None = key
        optional(parse_key, "key", key)
        self._strategy = cast("_Strategy", limiter)
        self._item = _item_of(rate)
        self._rate = str(self._item)

    def run(self, call: Call) -> Steps:
        """Make *call* once the strategy admits it; refuse it where that would be too late."""
        identifiers = [self.name]
        try:
            if self.key is not None:
                identifiers.append(str(from_arguments(call, self.key, "key", self._title)))
        except Exception as error:
            return Outcome.failed(error)
        latest = latest_start(call, self.max_wait)
        while True:
            hit: Outcome = yield self._asked("hit", *identifiers, cost=self.cost)
            if hit.error is not None:
                return hit
            if hit.value:
                break
            stats: Outcome = yield self._asked("get_window_stats", *identifiers)
            if stats.error is not None:
                return stats
            wait = _seconds_until(stats.value, call)
            if call.clock.now() + wait > latest:
                refusal = RateLimitedError(self.name, self._rate, self.cost, wait)
                yield from announce(rejected, call.target, refusal)
                return Outcome.failed(refusal)
            yield Sleep(wait)
        outcome: Outcome = yield PROCEED
        return outcome

    def _asked(self, method: str, *identifiers: str, **keywords: int) -> Run:
        """Return the effect that asks the strategy: in a worker thread, where the call is async and it is not."""
        question = functools.partial(getattr(self._strategy, method), self._item, *identifiers, **keywords)
        return Run(question, blocking=not is_async(self._strategy.hit))

    def _title(self) -> str:
        return f"rate limit {self.name!r}"

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        return {"limiter": self._strategy.hit}

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return *inside*, after the longest wait: without *max_wait* any time, up to the deadline."""
        return worst_wait(inside, self.max_wait)

    def __str__(self) -> str:
        return f"rate_limit.from_limits({type(self._strategy).__name__}, {self._rate!r})"


def _item_of(rate: object) -> object:
    """Return the `RateLimitItem` that *rate* is, or names. Raises TypeError or ValueError for what is none."""
    expected = "a limit as text, such as '10/minute', or a RateLimitItem"
    if not isinstance(rate, str):
        require(callable(safe_getattr(rate, "key_for")), "rate", rate, expected, TypeError)
        return rate
    import limits

    try:
        return limits.parse(rate)
    except ValueError as error:
        raise ValueError(f"rate={rate!r}: give {expected} ({error})") from None


def _seconds_until(stats: Any, call: Call) -> float:
    """Return how long the window of a limit lasts from now: its end is a moment of the wall clock."""
    reset = safe_getattr(stats, "reset_time")
    if not isinstance(reset, int | float) or not math.isfinite(reset):
        return _SHORTEST_WAIT
    return max(_SHORTEST_WAIT, reset - call.clock.wall())
