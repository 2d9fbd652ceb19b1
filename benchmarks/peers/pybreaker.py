"""pybreaker: a breaker only. A fallback around it is written by hand."""

from __future__ import annotations

import inspect
from typing import Any

import pybreaker

from benchmarks.references import by_hand
from benchmarks.terms import RESET, THRESHOLD, Function, Unsupported, Wrap, new_name

NAME = "pybreaker"
DISTRIBUTIONS = ("pybreaker",)
IMPORTS = {"pybreaker": "import pybreaker"}
LACKS = {
    "retry": "has no retry",
    "fallback": "has no fallback",
    "stack": "has no retry",
    "limit": "has no time limit",
    "full": "has no retry",
    "keyed": "has no circuits by key",
}


def circuit() -> tuple[Any, Wrap]:
    made = pybreaker.CircuitBreaker(fail_max=THRESHOLD, reset_timeout=RESET, name=new_name())
    return made, made


def breaker(function: Function) -> Function:
    if inspect.iscoroutinefunction(function):
        raise Unsupported("does not await: an async function never trips it")
    return circuit()[1](function)


def fallback_breaker(function: Function) -> Function:
    return by_hand(breaker(function))
