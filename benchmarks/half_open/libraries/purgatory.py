"""purgatory: reads the wall clock. Its state is in memory."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from purgatory import AsyncCircuitBreakerFactory, SyncCircuitBreakerFactory
from purgatory.domain import model

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

NAME = "purgatory"
DISTRIBUTIONS = ("purgatory",)
STYLES = {THREADS: "", BLOCKS: "", TASKS: ""}
LACKS: dict[str, str] = {}

_STATES = {model.CLOSED: CLOSED, model.OPENED: OPEN, model.HALF_OPENED: HALF_OPEN}


def patch_clock(clocks: Clocks) -> AbstractContextManager[object]:
    return mock.patch.object(model, "time", SimpleNamespace(time=clocks.wall))


def breaker(style: str, settings: Settings, clocks: Clocks) -> Breaker:
    kind = AsyncCircuitBreakerFactory if style == TASKS else SyncCircuitBreakerFactory
    factory: Any = kind(default_threshold=THRESHOLD, default_ttl=RESET, exclude=[settings.caller_bug])
    name = new_name()
    if settings.listener is not None:
        notify = settings.listener
        factory.add_listener(lambda circuit, what, event: what != "circuit_breaker_created" and notify())

    def block(function: Function) -> Function:
        def guarded(*args: Any) -> Any:
            with factory.get_breaker(name):
                return function(*args)

        return guarded

    def state() -> str:
        context = factory.uow.contexts.breakers.get(name)  # made by the first call
        return CLOSED if context is None else _STATES[context.state]

    return Breaker(block if style == BLOCKS else factory(name), state, model.OpenedState, (settings.caller_bug,))
