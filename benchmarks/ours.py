"""This project, with the settings of its peers."""

from __future__ import annotations

from typing import Any

import resilience
from benchmarks.terms import (
    ARGUMENT,
    ATTEMPTS,
    DEFAULT,
    NEVER,
    RATE,
    RESET,
    SLOTS,
    THRESHOLD,
    Function,
    Wrap,
    new_name,
)

NAME = "resilience"
DISTRIBUTIONS = ("category-resilience",)
CLASSES = True
IMPORTS = {
    "resilience": "import resilience",
    # Packages are imported when they are first used: the retry by the first function that it guards, ...
    "resilience with a first retry": "import resilience; resilience.retry_on_category(attempts=3)(lambda: None)",
    # ... and pybreaker, with its own imports, by the first circuit.
    "resilience with its breaker": "from resilience import CircuitBreaker",
}


def retry(function: Function) -> Function:
    guarded: Function = resilience.retry_on_category(attempts=ATTEMPTS, base_delay=0)(function)
    return guarded


def circuit() -> tuple[Any, Wrap]:
    made = resilience.CircuitBreaker(new_name(), failure_threshold=THRESHOLD, reset_timeout=RESET)
    return made, made


def breaker(function: Function) -> Function:
    return circuit()[1](function)


def fleet_breaker(function: Function) -> Function:
    from resilience.fleet import Fleet

    fleet = Fleet("memory://", name=new_name())
    made = resilience.CircuitBreaker(new_name(), failure_threshold=THRESHOLD, reset_timeout=RESET, fleet=fleet)
    made.call(int)  # the first call asks the store
    guarded: Function = made(function)
    return guarded


def stack_with_chaos_off(function: Function) -> Function:
    guarded: Function = stack(resilience.chaos(category="timeout", enabled=False)(function))
    return guarded


def keyed() -> tuple[Function, Function]:
    def key(key: str, function: Function) -> str:
        return key

    guard = resilience.circuit_breaker(
        new_name(), failure_threshold=THRESHOLD, reset_timeout=RESET, key=key, max_keys=10**6
    )

    @guard
    def call(key: str, function: Function) -> Any:
        return function(ARGUMENT)

    return new_name, call


def fallback(function: Function) -> Function:
    guarded: Function = resilience.fallback(default=DEFAULT)(function)
    return guarded


def fallback_breaker(function: Function) -> Function:
    return fallback(breaker(function))


def stack(function: Function) -> Function:
    return fallback(retry(breaker(function)))


def limit(function: Function, seconds: float = NEVER) -> Function:
    guarded: Function = resilience.timeout(seconds)(function)
    return guarded


def full(function: Function, seconds: float = NEVER) -> Function:
    return fallback(retry(breaker(limit(function, seconds))))


def bulkhead(function: Function) -> Function:
    guarded: Function = resilience.bulkhead(new_name(), SLOTS, max_queue=0)(function)
    return guarded


def adaptive_limit(function: Function) -> Function:
    limit = resilience.adaptive_limit(new_name(), start=SLOTS, least=SLOTS, most=SLOTS, max_queue=0)
    guarded: Function = limit(function)
    return guarded


def rate_limit(function: Function, calls: int = RATE) -> Function:
    guarded: Function = resilience.rate_limit(new_name(), f"{calls}/s", burst=calls, max_wait=0)(function)
    return guarded
