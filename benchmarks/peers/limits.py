"""limits: counters in a storage, here in memory. Its fixed window costs least of its strategies. No call waits.

Its window is a day long, so that none ends during a run.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

from limits import RateLimitItemPerDay
from limits.aio.storage import MemoryStorage as AsyncMemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter as AsyncFixedWindowRateLimiter
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from benchmarks.terms import RATE, Function, new_name

NAME = "limits"
DISTRIBUTIONS = ("limits",)
IMPORTS = {"limits": "import limits"}
LACKS = dict.fromkeys(
    ("retry", "breaker", "fallback", "fallback_breaker", "stack", "limit", "full", "bulkhead", "circuit", "keyed"),
    "has a rate limit only",
)


def rate_limit(function: Function, calls: int = RATE) -> Function:
    rate, name = RateLimitItemPerDay(calls), new_name()
    if inspect.iscoroutinefunction(function):
        async_limiter = AsyncFixedWindowRateLimiter(AsyncMemoryStorage())

        @functools.wraps(function)
        async def async_guarded(*args: Any, **kwargs: Any) -> Any:
            if not await async_limiter.hit(rate, name):
                raise RuntimeError("too early")
            return await function(*args, **kwargs)

        return async_guarded
    limiter = FixedWindowRateLimiter(MemoryStorage())

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if not limiter.hit(rate, name):
            raise RuntimeError("too early")
        return function(*args, **kwargs)

    return guarded
