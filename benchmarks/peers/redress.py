"""redress: retries inside a breaker. A fallback around it is written by hand."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from redress import AsyncPolicy, AsyncRetry, BackoffContext, CircuitBreaker, Policy, Retry, default_classifier
from redress import retry as redress_retry

from benchmarks.references import by_hand
from benchmarks.terms import ATTEMPTS, NEVER, RESET, THRESHOLD, Function, Wrap

NAME = "redress"
DISTRIBUTIONS = ("redress",)
IMPORTS = {"redress": "import redress"}
LACKS = {"fallback": "has no fallback", "keyed": "has no circuits by key"}


def _no_wait(context: BackoffContext) -> float:
    return 0.0


def _breaker() -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=THRESHOLD, window_s=RESET, recovery_timeout_s=RESET)


def _guarded(
    function: Function, breaker: CircuitBreaker, attempts: int | None = None, seconds: float | None = None
) -> Function:
    """Wrap as its own decorator does: a policy takes a function without arguments."""
    if inspect.iscoroutinefunction(function):
        retries = None
        if attempts is not None:
            retries = AsyncRetry(
                classifier=default_classifier,
                strategy=_no_wait,
                max_attempts=attempts,
                attempt_timeout_s=seconds,
                deadline_s=RESET,
            )
        async_policy = AsyncPolicy(retry=retries, circuit_breaker=breaker)

        @functools.wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            return await async_policy.call(lambda: function(*args, **kwargs))

        return async_wrapper
    retry = None
    if attempts is not None:
        retry = Retry(
            classifier=default_classifier,
            strategy=_no_wait,
            max_attempts=attempts,
            attempt_timeout_s=seconds,
            deadline_s=RESET,
        )
    policy = Policy(retry=retry, circuit_breaker=breaker)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return policy.call(lambda: function(*args, **kwargs))

    return wrapper


def retry(function: Function) -> Function:
    return redress_retry(strategy=_no_wait, max_attempts=ATTEMPTS)(function)


def circuit() -> tuple[Any, Wrap]:
    made = _breaker()
    return made, lambda function: _guarded(function, made)


def breaker(function: Function) -> Function:
    return circuit()[1](function)


def fallback_breaker(function: Function) -> Function:
    return by_hand(breaker(function))


def stack(function: Function) -> Function:
    return by_hand(_guarded(function, _breaker(), ATTEMPTS))


def limit(function: Function, seconds: float = NEVER) -> Function:
    return redress_retry(strategy=_no_wait, max_attempts=1, attempt_timeout_s=seconds, deadline_s=RESET)(function)


def full(function: Function, seconds: float = NEVER) -> Function:
    return by_hand(_guarded(function, _breaker(), ATTEMPTS, seconds))
