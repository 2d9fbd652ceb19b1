"""The loops that are counted."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from benchmarks.instructions.cases import Drive
from benchmarks.terms import ARGUMENT

__all__ = ["Loop", "looped"]

#: Call so many times, and return what came of the last one: its answer, or None when it raised.
Loop = Callable[[int], object]


def looped(drive: Drive, made: object) -> AbstractContextManager[Loop]:
    """Return the loop that calls what was *made*, for a ``with`` block."""
    if drive == "asyncio":
        return _in_asyncio(made)
    loop = {"call": _call, "method": _call_method, "catch": _catch, "by hand": _by_hand}[drive]
    return nullcontext(lambda number: loop(made, itertools.repeat(None, number)))


def _call(function: Any, times: Iterator[None]) -> object:
    answer: object = None
    for _ in times:
        answer = function(ARGUMENT)
    return answer


def _call_method(owner: Any, times: Iterator[None]) -> object:
    answer: object = None
    for _ in times:
        answer = owner.method(ARGUMENT)
    return answer


def _catch(function: Any, times: Iterator[None]) -> object:
    answer: object = None
    for _ in times:
        try:
            answer = function(ARGUMENT)
        except Exception:
            answer = None
    return answer


async def _await(function: Any, times: Iterator[None]) -> object:
    answer: object = None
    for _ in times:
        answer = await function(ARGUMENT)
    return answer


def _by_hand(function: Any, times: Iterator[None]) -> object:
    """Await, without an event loop, what never waits."""
    coroutine = _await(function, times)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise RuntimeError("the call waits, with nothing to wait for")


@contextmanager
def _in_asyncio(function: Any) -> Iterator[Loop]:
    with asyncio.Runner() as runner:
        yield lambda number: runner.run(_await(function, itertools.repeat(None, number)))
