"""redress: takes the clock as an argument. What it ignores is `AbortRetryError`; a NameError it calls unknown."""

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
    Settings,
    Time,
)
from benchmarks.terms import Function

NAME = "redress"
DISTRIBUTIONS = ("redress",)
ROADS = {THREADS: "", TASKS: ""}
LACKS = {
    BLOCKS: "has no block",
    "excluding-a-class-with-a-metaclass-excludes-everything": "excludes no classes",
}

_STATES = {CircuitState.CLOSED: CLOSED, CircuitState.OPEN: OPEN, CircuitState.HALF_OPEN: HALF_OPEN}


def patched(time: Time) -> AbstractContextManager[object]:
    return nullcontext()


def breaker(road: str, settings: Settings, time: Time) -> Breaker:
    made = CircuitBreaker(failure_threshold=THRESHOLD, window_s=RESET, recovery_timeout_s=RESET, clock=time.monotonic)
    told: dict[str, Any] = {}
    if settings.listener is not None:
        tell = settings.listener
        told["on_metric"] = lambda *event: tell()

    def guard(function: Function) -> Function:
        if road == TASKS:
            async_policy = AsyncPolicy(circuit_breaker=made)

            @functools.wraps(function)
            async def async_guarded(*args: Any) -> Any:
                return await async_policy.call(lambda: function(*args), **told)

            return async_guarded
        policy = Policy(circuit_breaker=made)

        @functools.wraps(function)
        def guarded(*args: Any) -> Any:
            return policy.call(lambda: function(*args), **told)

        return guarded

    own_faults = (AbortRetryError, settings.own_fault)
    return Breaker(guard, lambda: _STATES[made.state], CircuitOpenError, own_faults)
