"""aiolimiter: a leaky bucket for one event loop. A call that finds no capacity waits."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from aiolimiter import AsyncLimiter

from benchmarks.terms import RATE, Function, Unsupported

NAME = "aiolimiter"
DISTRIBUTIONS = ("aiolimiter",)
IMPORTS = {"aiolimiter": "import aiolimiter"}
LACKS = dict.fromkeys(
    ("retry", "breaker", "fallback", "fallback_breaker", "stack", "limit", "full", "bulkhead", "circuit", "keyed"),
    "has a rate limit only",
)


def rate_limit(function: Function, calls: int = RATE) -> Function:
    if not inspect.iscoroutinefunction(function):
        raise Unsupported("limits async functions only")
    limiter = AsyncLimiter(calls, 1)

    @functools.wraps(function)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        async with limiter:
            return await function(*args, **kwargs)

    return guarded
