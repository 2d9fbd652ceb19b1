"""circuitbreaker: a breaker, with a fallback for rejected calls."""

from __future__ import annotations

import inspect
from typing import Any

import circuitbreaker

from benchmarks.terms import DEFAULT, RESET, THRESHOLD, Function, Wrap, new_name

NAME = "circuitbreaker"
DISTRIBUTIONS = ("circuitbreaker",)
IMPORTS = {"circuitbreaker": "import circuitbreaker"}
LACKS = {
    "retry": "has no retry",
    "fallback": "has a fallback only for rejected calls",
    "stack": "has no retry",
    "limit": "has no time limit",
    "full": "has no retry",
    "keyed": "has no circuits by key",
}


def circuit() -> tuple[Any, Wrap]:
    made = circuitbreaker.CircuitBreaker(
        failure_threshold=THRESHOLD, recovery_timeout=RESET, expected_exception=ConnectionError, name=new_name()
    )
    return made, made


def breaker(function: Function) -> Function:
    return circuit()[1](function)


def fallback_breaker(function: Function) -> Function:
    guarded: Function = circuitbreaker.CircuitBreaker(
        failure_threshold=THRESHOLD,
        recovery_timeout=RESET,
        expected_exception=ConnectionError,
        name=new_name(),
        fallback_function=_async_default if inspect.iscoroutinefunction(function) else _default,
    )(function)
    return guarded


def _default(*args: Any, **kwargs: Any) -> str:
    return DEFAULT


async def _async_default(*args: Any, **kwargs: Any) -> str:
    return DEFAULT
