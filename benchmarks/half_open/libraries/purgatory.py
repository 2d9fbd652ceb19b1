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
    Settings,
    Time,
)
from benchmarks.terms import Function, new_name

NAME = "purgatory"
DISTRIBUTIONS = ("purgatory",)
ROADS = {THREADS: "", BLOCKS: "", TASKS: ""}
LACKS: dict[str, str] = {}

_STATES = {model.CLOSED: CLOSED, model.OPENED: OPEN, model.HALF_OPENED: HALF_OPEN}


def patched(time: Time) -> AbstractContextManager[object]:
    return mock.patch.object(model, "time", SimpleNamespace(time=time.wall))


def breaker(road: str, settings: Settings, time: Time) -> Breaker:
    kind = AsyncCircuitBreakerFactory if road == TASKS else SyncCircuitBreakerFactory
    factory: Any = kind(default_threshold=THRESHOLD, default_ttl=RESET, exclude=[settings.own_fault])
    name = new_name()
    if settings.listener is not None:
        tell = settings.listener
        factory.add_listener(lambda circuit, what, event: what != "circuit_breaker_created" and tell())

    def block(function: Function) -> Function:
        def guarded(*args: Any) -> Any:
            with factory.get_breaker(name):
                return function(*args)

        return guarded

    def state() -> str:
        context = factory.uow.contexts.breakers.get(name)  # made by the first call
        return CLOSED if context is None else _STATES[context.state]

    return Breaker(block if road == BLOCKS else factory(name), state, model.OpenedState, (settings.own_fault,))
