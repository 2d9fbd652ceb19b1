"""pybreaker: reads the wall clock. Its listener raises where a call failed."""

from __future__ import annotations

import datetime
from contextlib import AbstractContextManager
from typing import Any, cast
from unittest import mock

import pybreaker

from benchmarks.half_open.calls import ObservedLock
from benchmarks.half_open.terms import BLOCKS, RESET, TASKS, THREADS, THRESHOLD, Breaker, Clocks, Settings
from benchmarks.terms import Function, new_name

NAME = "pybreaker"
DISTRIBUTIONS = ("pybreaker",)
STYLES = {THREADS: "", BLOCKS: "", TASKS: "does not await what it guards"}
LACKS: dict[str, str] = {}


class _Listener(pybreaker.CircuitBreakerListener):
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def failure(self, cb: Any, exc: BaseException) -> None:
        assert self._settings.listener is not None
        self._settings.listener()


def patch_clock(clocks: Clocks) -> AbstractContextManager[object]:
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Clock:
            return cls.fromtimestamp(clocks.wall(), tz)

    return mock.patch.object(pybreaker, "datetime", Clock)


def breaker(style: str, settings: Settings, clocks: Clocks) -> Breaker:
    made = pybreaker.CircuitBreaker(
        fail_max=THRESHOLD,
        reset_timeout=RESET,
        success_threshold=settings.successes,
        exclude=[settings.caller_bug],
        listeners=[] if settings.listener is None else [_Listener(settings)],
        name=new_name(),
    )
    made._lock = cast("Any", ObservedLock(made._lock))

    def block(function: Function) -> Function:
        def guarded(*args: Any) -> Any:
            with made.calling():
                return function(*args)

        return guarded

    guard: Any = block if style == BLOCKS else made
    return Breaker(guard, lambda: made.current_state, pybreaker.CircuitBreakerError, (settings.caller_bug,))
