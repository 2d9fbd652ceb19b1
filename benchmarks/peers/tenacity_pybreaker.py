"""tenacity around pybreaker, the usual combination. The fallback is tenacity's own, after the last attempt."""

from __future__ import annotations

import inspect

import tenacity

from benchmarks.peers import pybreaker
from benchmarks.terms import ATTEMPTS, DEFAULT, Function, Unsupported

NAME = "tenacity + pybreaker"
DISTRIBUTIONS = ("tenacity", "pybreaker")
IMPORTS = {"tenacity + pybreaker": "import tenacity, pybreaker"}
LACKS = dict.fromkeys(
    ("retry", "breaker", "fallback", "fallback_breaker", "limit", "circuit", "keyed"),
    "is measured for each of the two by itself",
) | {"full": "has no time limit for a call"}


def stack(function: Function) -> Function:
    if inspect.iscoroutinefunction(function):
        raise Unsupported("does not await: pybreaker does not, so that an async function never trips it")
    return tenacity.retry(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_none(),
        retry_error_callback=lambda state: DEFAULT,
    )(pybreaker.breaker(function))
