"""redress: takes the clock as an argument. It ignores `AbortRetryError`, and classifies a NameError as unknown."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from redress import AsyncPolicy, CircuitBreaker, CircuitOpenError, CircuitState, Policy
from redress.errors import AbortRetryError

from benchmarks.half_open.terms import (
    BLOCKS,
    CLOSED,
    HALF_OPEN,
    OPEN,
    RESET,
    TASKS,
    THREADS,
    THRESHOLD,
    Breaker,
    Clocks,
    Settings,
)
from benchmarks.terms import Function

NAME = "redress"
DISTRIBUTIONS = ("redress",)
STYLES = {THREADS: "", TASKS: ""}
LACKS = {
    BLOCKS: "has no block",
    "excluding-a-class-with-a-metaclass-excludes-everything": "excludes no classes",
}

_STATES = {CircuitState.CLOSED: CLOSED, CircuitState.OPEN: OPEN, CircuitState.HALF_OPEN: HALF_OPEN}


def patch_clock(clocks: Clocks) -> AbstractContextManager[object]:
    return nullcontext()


def breaker(style: str, settings: Settings, clocks: Clocks) -> Breaker:
    made = CircuitBreaker(failure_threshold=THRESHOLD, window_s=RESET, recovery_timeout_s=RESET, clock=clocks.monotonic)
    hooks: dict[str, Any] = {}
    if settings.listener is not None:
        notify = settings.listener
        hooks["on_metric"] = lambda *event: notify()

    def guard(function: Function) -> Function:
        if style == TASKS:
            async_policy = AsyncPolicy(circuit_breaker=made)

            @functools.wraps(function)
            async def async_guarded(*args: Any) -> Any:
                return await async_policy.call(lambda: function(*args), **hooks)

            return async_guarded
        policy = Policy(circuit_breaker=made)

        @functools.wraps(function)
        def guarded(*args: Any) -> Any:
            return policy.call(lambda: function(*args), **hooks)

        return guarded

    caller_bugs = (AbortRetryError, settings.caller_bug)
    return Breaker(guard, lambda: _STATES[made.state], CircuitOpenError, caller_bugs)
