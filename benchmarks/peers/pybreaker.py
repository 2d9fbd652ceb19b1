"""pybreaker: a breaker only. A fallback around it is written by hand."""

from __future__ import annotations

import inspect

import pybreaker

from benchmarks.references import by_hand
from benchmarks.terms import RESET, THRESHOLD, Function, Unsupported, new_name

NAME = "pybreaker"
DISTRIBUTIONS = ("pybreaker",)
IMPORTS = {"pybreaker": "import pybreaker"}
LACKS = {
    "retry": "has no retry",
    "fallback": "has no fallback",
    "stack": "has no retry; see tenacity + pybreaker",
    "limit": "has no time limit",
}


def breaker(function: Function) -> Function:
    if inspect.iscoroutinefunction(function):
        raise Unsupported("does not await: an async function never trips it")
    return pybreaker.CircuitBreaker(fail_max=THRESHOLD, reset_timeout=RESET, name=new_name())(function)


def fallback_breaker(function: Function) -> Function:
    return by_hand(breaker(function))
