"""nopanic: takes the clock as an argument, and knows rates within a time window: one failure of two is enough.

It is given the errors that count; any other ends a call without an outcome.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from nopanic import CircuitBreaker, CircuitOpen

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
from benchmarks.terms import ERROR, Function, new_name

NAME = "nopanic"
DISTRIBUTIONS = ("nopanic",)
STYLES = {THREADS: "", BLOCKS: "", TASKS: ""}
LACKS: dict[str, str] = {}

_STATES = {"closed": CLOSED, "open": OPEN, "half_open": HALF_OPEN}


def patch_clock(clocks: Clocks) -> AbstractContextManager[object]:
    return nullcontext()


def breaker(style: str, settings: Settings, clocks: Clocks) -> Breaker:
    def notify(*change: object) -> None:
        if settings.listener is not None:
            settings.listener()

    made = CircuitBreaker(
        failure_threshold=0.5,
        min_calls=THRESHOLD,
        reset_timeout=RESET,
        half_open_max_calls=settings.successes,  # the successes that close it, and the probes out at a time
        on=ERROR,
        name=new_name(),
        on_state_change=notify,
        clock=clocks.monotonic,
    )

    def block(function: Function) -> Function:
        def guarded(*args: Any) -> Any:
            with made.guard():
                return function(*args)

        return guarded

    guard: Any = block if style == BLOCKS else made
    return Breaker(guard, lambda: _STATES[made.state], CircuitOpen, (settings.caller_bug,))
