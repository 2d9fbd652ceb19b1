"""grelmicro: its state is in memory. Sync calls go through the event loop of an application, in a thread of its own.

Its `state` is that of the last call, so its store is read instead. An ignored error is a success to it.
Needs Python 3.12.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from grelmicro.resilience import CircuitBreaker, CircuitBreakerError, circuitbreaker
from grelmicro.resilience.circuitbreaker import CircuitBreakerState, memory

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

NAME = "grelmicro"
DISTRIBUTIONS = ("grelmicro",)
STYLES = {THREADS: "", BLOCKS: "", TASKS: ""}
LACKS = {"a-listener-that-raises-keeps-it-from-opening": "has no listeners"}

_STATES = {
    CircuitBreakerState.CLOSED: CLOSED,
    CircuitBreakerState.OPEN: OPEN,
    CircuitBreakerState.HALF_OPEN: HALF_OPEN,
}


@contextmanager
def patch_clock(clocks: Clocks) -> Generator[None]:
    with (
        mock.patch.object(memory, "monotonic", clocks.monotonic),
        mock.patch.object(circuitbreaker, "monotonic", clocks.monotonic),
    ):
        yield


@functools.cache
def _application() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="grelmicro's event loop", daemon=True).start()
    return loop


def breaker(style: str, settings: Settings, clocks: Clocks) -> Breaker:
    backend = memory.MemoryCircuitBreakerAdapter()
    if style != TASKS:
        asyncio.run_coroutine_threadsafe(backend.__aenter__(), _application()).result()
    made = CircuitBreaker.consecutive_count(
        new_name(),
        ignore_exceptions=settings.caller_bug,
        error_threshold=THRESHOLD,
        success_threshold=settings.successes,
        reset_timeout=RESET,
        half_open_capacity=settings.probes,
        backend=backend,
    )

    def state() -> str:
        kept = backend._states.get(made.name)  # nothing is kept of a circuit that is closed
        return CLOSED if kept is None else _STATES[kept.state]

    def block(function: Function) -> Function:
        def guarded(*args: Any) -> Any:
            with made.from_thread:
                return function(*args)

        return guarded

    guard: Any = block if style == BLOCKS else made
    return Breaker(guard, state, CircuitBreakerError, (settings.caller_bug,))
