"""grelmicro: a stack that orders its policies itself, for async functions first. Needs Python 3.12.

A sync function goes through its breaker on the event loop of the application, which runs in a thread of its own here,
as its documentation has it for sync handlers. Its shortest wait between attempts is not zero.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import threading
from typing import Any

from grelmicro.resilience import CircuitBreaker, Fallback, Retry, Stack, Timeout
from grelmicro.resilience.circuitbreaker.memory import MemoryCircuitBreakerAdapter

from benchmarks.terms import ARGUMENT, ATTEMPTS, DEFAULT, NEVER, RESET, THRESHOLD, Function, Unsupported, Wrap, new_name

NAME = "grelmicro"
DISTRIBUTIONS = ("grelmicro",)
IMPORTS = {"grelmicro": "from grelmicro.resilience import CircuitBreaker, Fallback, Retry, Stack"}

_RETRY: Wrap = Retry.constant("retry", when=ConnectionError, attempts=ATTEMPTS, delay=sys.float_info.min)
_FALLBACK: Wrap = Fallback("fallback", when=Exception, default=DEFAULT)
#: For async functions: it works on whatever event loop they run on.
_ASYNC = MemoryCircuitBreakerAdapter()


@functools.cache
def _sync() -> Any:
    """Return the adapter of an application whose event loop runs in another thread."""
    adapter, loop = MemoryCircuitBreakerAdapter(), asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="grelmicro's event loop", daemon=True).start()
    return asyncio.run_coroutine_threadsafe(adapter.__aenter__(), loop).result()


def _breaker(backend: Any, **options: Any) -> Any:
    return CircuitBreaker.consecutive_count(
        new_name(),
        error_threshold=THRESHOLD,
        reset_timeout=RESET,
        log_level="CRITICAL",
        backend=backend,
        **options,
    )


def _breaker_for(function: Function) -> Wrap:
    made: Wrap = _breaker(_ASYNC if inspect.iscoroutinefunction(function) else _sync())
    return made


def circuit() -> tuple[Any, Wrap]:
    made = _breaker(_sync())
    return made, made


def keyed() -> tuple[Function, Function]:
    made = _breaker(_sync(), maxsize=0)

    def call(key: str, function: Function) -> Any:
        with made.keyed(key).from_thread:
            return function(ARGUMENT)

    return new_name, call


def retry(function: Function) -> Function:
    return _RETRY(function)


def breaker(function: Function) -> Function:
    return _breaker_for(function)(function)


def fallback(function: Function) -> Function:
    return _FALLBACK(function)


def fallback_breaker(function: Function) -> Function:
    return _stack(_FALLBACK, _breaker_for(function))(function)


def stack(function: Function) -> Function:
    return _stack(_FALLBACK, _RETRY, _breaker_for(function))(function)


def limit(function: Function, seconds: float = NEVER) -> Function:
    return _timeout(function, seconds)(function)


def full(function: Function, seconds: float = NEVER) -> Function:
    limited = _timeout(function, seconds)
    return _stack(_FALLBACK, _RETRY, _breaker_for(function), limited)(function)


def _stack(*policies: Any) -> Wrap:
    made: Wrap = Stack(new_name(), patterns=policies)
    return made


def _timeout(function: Function, seconds: float) -> Wrap:
    if not inspect.iscoroutinefunction(function):
        raise Unsupported("limits the time of async functions only")
    made: Wrap = Timeout("limit", seconds=seconds)
    return made
