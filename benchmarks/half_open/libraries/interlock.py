"""interlock-cb: takes the clock as an argument, and knows rates: one failure of two is enough, and so are both.

A bug of the caller's is one of its `unreachable_exceptions`, the milder of its two settings: an error that its
classifier does not count is a success to it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from interlock import CircuitBreaker, CircuitOpenError, Config, State

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
from benchmarks.terms import Function, new_name

NAME = "interlock-cb"
DISTRIBUTIONS = ("interlock-cb",)
STYLES = {THREADS: "", BLOCKS: "", TASKS: ""}
LACKS: dict[str, str] = {}

_STATES = {State.CLOSED: CLOSED, State.OPEN: OPEN, State.HALF_OPEN: HALF_OPEN}


class _Listener:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def _notify(self, **event: object) -> None:
        assert self._settings.listener is not None
        self._settings.listener()

    on_state_change = on_call = on_rejected = on_reset = _notify


def patch_clock(clocks: Clocks) -> AbstractContextManager[object]:
    return nullcontext()


def breaker(style: str, settings: Settings, clocks: Clocks) -> Breaker:
    made = CircuitBreaker(
        name=new_name(),
        config=Config(
            failure_rate_threshold=0.5,
            minimum_number_of_calls=THRESHOLD,
            window_size=THRESHOLD,
            wait_duration_in_open=RESET,
            permitted_calls_in_half_open=settings.successes,
            max_concurrent_probes=settings.probes,
        ),
        clock=clocks,
        listener=None if settings.listener is None else _Listener(settings),
        unreachable_exceptions=(settings.caller_bug,),
    )

    def block(function: Function) -> Function:
        def guarded(*args: Any) -> Any:
            with made:
                return function(*args)

        return guarded

    guard: Any = block if style == BLOCKS else made
    return Breaker(guard, lambda: _STATES[made.state], CircuitOpenError, (settings.caller_bug,))
