"""grelmicro: its state is in memory. Sync calls go through the event loop of an application, in a thread of its own.

Its `state` is what the last call saw, so the store is asked. An error that it is told to ignore is a success to it.
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
    Settings,
    Time,
)
from benchmarks.terms import Function, new_name

NAME = "grelmicro"
DISTRIBUTIONS = ("grelmicro",)
ROADS = {THREADS: "", BLOCKS: "", TASKS: ""}
LACKS = {"a-listener-that-raises-keeps-it-from-opening": "has no listeners"}

_STATES = {
    CircuitBreakerState.CLOSED: CLOSED,
    CircuitBreakerState.OPEN: OPEN,
    CircuitBreakerState.HALF_OPEN: HALF_OPEN,
}


@contextmanager
def patched(time: Time) -> Generator[None]:
    with (
        mock.patch.object(memory, "monotonic", time.monotonic),
        mock.patch.object(circuitbreaker, "monotonic", time.monotonic),
    ):
        yield


@functools.cache
def _application() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="grelmicro's event loop", daemon=True).start()
    return loop


def breaker(road: str, settings: Settings, time: Time) -> Breaker:
    backend = memory.MemoryCircuitBreakerAdapter()
    if road != TASKS:
        asyncio.run_coroutine_threadsafe(backend.__aenter__(), _application()).result()
    made = CircuitBreaker.consecutive_count(
        new_name(),
        ignore_exceptions=settings.own_fault,
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

    guard: Any = block if road == BLOCKS else made
    return Breaker(guard, state, CircuitBreakerError, (settings.own_fault,))
