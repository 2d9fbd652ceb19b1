"""purgatory: a breaker only, with its state in memory. A fallback around it is written by hand."""

from __future__ import annotations

import inspect
from typing import Any

from purgatory import AsyncCircuitBreakerFactory, SyncCircuitBreakerFactory

from benchmarks.references import by_hand
from benchmarks.terms import ARGUMENT, RESET, THRESHOLD, Function, new_name

NAME = "purgatory"
DISTRIBUTIONS = ("purgatory",)
IMPORTS = {"purgatory": "import purgatory"}
LACKS = {
    "retry": "has no retry",
    "fallback": "has no fallback",
    "stack": "has no retry",
    "limit": "has no time limit",
    "full": "has no retry",
    "circuit": "has circuits by key only",
}


def breaker(function: Function) -> Function:
    factory = AsyncCircuitBreakerFactory if inspect.iscoroutinefunction(function) else SyncCircuitBreakerFactory
    guarded: Function = factory(default_threshold=THRESHOLD, default_ttl=RESET)(new_name())(function)
    return guarded


def keyed() -> tuple[Function, Function]:
    factory = SyncCircuitBreakerFactory(default_threshold=THRESHOLD, default_ttl=RESET)

    def call(key: str, function: Function) -> Any:
        with factory.get_breaker(key):
            return function(ARGUMENT)

    return new_name, call


def fallback_breaker(function: Function) -> Function:
    return by_hand(breaker(function))
