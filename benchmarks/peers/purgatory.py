"""purgatory: a breaker only, with its state in memory. A fallback around it is written by hand."""

from __future__ import annotations

import inspect

from purgatory import AsyncCircuitBreakerFactory, SyncCircuitBreakerFactory

from benchmarks.references import by_hand
from benchmarks.terms import RESET, THRESHOLD, Function, new_name

NAME = "purgatory"
DISTRIBUTIONS = ("purgatory",)
IMPORTS = {"purgatory": "import purgatory"}
LACKS = {
    "retry": "has no retry",
    "fallback": "has no fallback",
    "stack": "has no retry",
    "limit": "has no time limit",
}


def breaker(function: Function) -> Function:
    factory = AsyncCircuitBreakerFactory if inspect.iscoroutinefunction(function) else SyncCircuitBreakerFactory
    guarded: Function = factory(default_threshold=THRESHOLD, default_ttl=RESET)(new_name())(function)
    return guarded


def fallback_breaker(function: Function) -> Function:
    return by_hand(breaker(function))
