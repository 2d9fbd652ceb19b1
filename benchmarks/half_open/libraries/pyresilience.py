"""pyresilience: a decorator only."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from pyresilience import CircuitBreakerConfig, CircuitOpenError, CircuitState, _circuit_breaker, resilient

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
from benchmarks.terms import ERROR, Function

NAME = "pyresilience"
DISTRIBUTIONS = ("pyresilience",)
STYLES = {THREADS: "", TASKS: ""}
LACKS = {BLOCKS: "has no block"}

_STATES = {CircuitState.CLOSED: CLOSED, CircuitState.OPEN: OPEN, CircuitState.HALF_OPEN: HALF_OPEN}


def patch_clock(clocks: Clocks) -> AbstractContextManager[object]:
    return mock.patch.object(_circuit_breaker, "_monotonic", clocks.monotonic)


def breaker(style: str, settings: Settings, clocks: Clocks) -> Breaker:
    config = CircuitBreakerConfig(
        failure_threshold=THRESHOLD,
        recovery_timeout=RESET,
        success_threshold=settings.successes,
        error_types=(ERROR,),
        ignore_on=(settings.caller_bug,),
    )
    made: list[Any] = []
    listeners: list[Any] = []
    if settings.listener is not None:
        notify = settings.listener
        listeners.append(lambda event: notify())

    def guard(function: Function) -> Function:
        guarded: Any = resilient(circuit_breaker=config, listeners=listeners)(function)
        made.append(guarded._executor._circuit_breaker)
        return guarded  # type: ignore[no-any-return]

    return Breaker(guard, lambda: _STATES[made[0].state], CircuitOpenError, (settings.caller_bug,))
