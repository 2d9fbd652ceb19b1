"""nopanic: policies for sync and async functions, composed in the order they are written.

Its breaker knows rates within a time window: all of five calls is the same.
"""

from __future__ import annotations

from typing import Any

from nopanic import bulkhead as nopanic_bulkhead
from nopanic import circuit_breaker, compose, timeout
from nopanic import fallback as nopanic_fallback
from nopanic import keyed as nopanic_keyed
from nopanic import rate_limit as nopanic_rate_limit
from nopanic import retry as nopanic_retry

from benchmarks.terms import ARGUMENT, ATTEMPTS, DEFAULT, NEVER, RATE, RESET, SLOTS, THRESHOLD, Function, Wrap, new_name

NAME = "nopanic"
DISTRIBUTIONS = ("nopanic",)
IMPORTS = {"nopanic": "import nopanic"}

_RETRY = nopanic_retry(attempts=ATTEMPTS, on=ConnectionError, backoff=0)
_FALLBACK = nopanic_fallback(DEFAULT)


def _breaker(name: str) -> circuit_breaker:
    return circuit_breaker(
        failure_threshold=1.0, min_calls=THRESHOLD, reset_timeout=RESET, on=ConnectionError, name=name
    )


def circuit() -> tuple[Any, Wrap]:
    made = _breaker(new_name())
    return made, made


def keyed() -> tuple[Function, Function]:
    def key(key: str, function: Function) -> str:
        return key

    @nopanic_keyed(_breaker, key=key, maxsize=10**6)
    def call(key: str, function: Function) -> Any:
        return function(ARGUMENT)

    return new_name, call


def retry(function: Function) -> Function:
    return _RETRY(function)


def breaker(function: Function) -> Function:
    return circuit()[1](function)


def fallback(function: Function) -> Function:
    return _FALLBACK(function)


def fallback_breaker(function: Function) -> Function:
    return compose(_FALLBACK, _breaker(new_name()))(function)


def stack(function: Function) -> Function:
    return compose(_FALLBACK, _RETRY, _breaker(new_name()))(function)


def limit(function: Function, seconds: float = NEVER) -> Function:
    return timeout(seconds)(function)


def full(function: Function, seconds: float = NEVER) -> Function:
    return compose(_FALLBACK, _RETRY, _breaker(new_name()), timeout(seconds))(function)


def bulkhead(function: Function) -> Function:
    return nopanic_bulkhead(SLOTS, max_wait=0)(function)


def rate_limit(function: Function, calls: int = RATE) -> Function:
    return nopanic_rate_limit(calls, burst=calls, max_wait=0)(function)
