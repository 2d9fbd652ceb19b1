"""Ours. The category decides which errors count: that of a NameError is INTERNAL, and is ignored."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pybreaker

import resilience
from benchmarks.half_open.terms import (
    BLOCKS,
    RESET,
    TASKS,
    THREADS,
    THRESHOLD,
    Breaker,
    CallerBugWithMetaclass,
    Clocks,
    Settings,
)
from benchmarks.terms import Function, new_name
from resilience.clock import SystemClock

NAME = "ours"
DISTRIBUTIONS = ("category-resilience",)
STYLES = {THREADS: "", BLOCKS: "", TASKS: ""}
LACKS: dict[str, str] = {}


class _Listener(pybreaker.CircuitBreakerListener):
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def failure(self, cb: Any, exc: BaseException) -> None:
        assert self._settings.listener is not None
        self._settings.listener()

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        assert self._settings.listener is not None
        self._settings.listener()


@contextmanager
def patch_clock(clocks: Clocks) -> Generator[None]:
    with (
        resilience.register(CallerBugWithMetaclass, resilience.ErrorCategory.INTERNAL),
        mock.patch.object(SystemClock, "now", staticmethod(clocks.monotonic)),
        mock.patch.object(SystemClock, "wall", staticmethod(clocks.wall)),
    ):
        yield


def breaker(style: str, settings: Settings, clocks: Clocks) -> Breaker:
    made = resilience.circuit_breaker(
        new_name(),
        failure_threshold=THRESHOLD,
        reset_timeout=RESET,
        success_threshold=settings.successes,
        probes=settings.probes,
        listeners=[] if settings.listener is None else [_Listener(settings)],
    )

    def block(function: Function) -> Function:
        def guarded(*args: Any) -> Any:
            with made:
                return function(*args)

        return guarded

    guard: Any = block if style == BLOCKS else made
    return Breaker(guard, lambda: made.current_state, resilience.CircuitOpenError, (settings.caller_bug,))
