"""PyrateLimiter: a log of the calls of the last second, here in memory. A call beyond the rate waits."""

from __future__ import annotations

from typing import Any

from pyrate_limiter import Limiter, Rate

from benchmarks.terms import RATE, Function

NAME = "PyrateLimiter"
DISTRIBUTIONS = ("pyrate-limiter",)
IMPORTS = {"PyrateLimiter": "import pyrate_limiter"}
LACKS = dict.fromkeys(
    ("retry", "breaker", "fallback", "fallback_breaker", "stack", "limit", "full", "bulkhead", "circuit", "keyed"),
    "has a rate limit only",
)

_SECOND = 1000


def rate_limit(function: Function, calls: int = RATE) -> Function:
    limiter: Any = Limiter(Rate(calls, _SECOND))
    guarded: Function = limiter.as_decorator()(function)
    return guarded
