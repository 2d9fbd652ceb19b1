"""Tasks of asyncio that work for another task: it waits for them, directly or through tasks in between.

A limit cancels one task, and asyncio passes the cancellation on to those that this task waits for: by `await`,
`asyncio.gather`, `asyncio.wait_for`, task groups of asyncio and anyio. There is no public way from a task to the one
that waits for it. This module goes by the callbacks of tasks and futures and by anyio's cancel scopes, all private.
Where an attribute is missing, a task works for no other.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, cast

from resilience._shields import innermost

__all__ = ["works_for"]

_Waiting: TypeAlias = "asyncio.Future[Any]"


def works_for(task: asyncio.Task[object], other: asyncio.Task[object]) -> bool:
    """Return whether *other* waits for *task*, directly or through tasks and futures in between, or is the same."""
    found: list[_Waiting] = [task]
    for waiting in found:  # it grows
        if waiting is other:
            return True
        found.extend(each for each in _waiting_for(waiting) if each not in found)
    return False


def _waiting_for(future: _Waiting) -> Iterator[_Waiting]:
    """Yield the tasks that wait for *future*, and the futures that end with it."""
    for callback, *_ in getattr(future, "_callbacks", None) or ():
        for each in _parts_of(callback):
            waiting: Any = getattr(each, "_parent_task", each)  # of a TaskGroup
            if isinstance(waiting, asyncio.Future):
                yield waiting
    if isinstance(future, asyncio.Task):
        scope = innermost(cast("asyncio.Task[object]", future))
        while scope is not None:
            if (host := getattr(scope, "_host_task", None)) is not None:
                yield host
            scope = getattr(scope, "_parent_scope", None)


def _parts_of(callback: object) -> Iterator[object]:
    """Yield the objects that a callback of asyncio's own leads to: a task that it wakes, a future, a group."""
    if isinstance(callback, functools.partial):
        yield from callback.args
        return
    yield getattr(callback, "__self__", None)
    if str(getattr(callback, "__module__", "")).startswith("asyncio"):
        for cell in getattr(cast("Callable[..., object]", callback), "__closure__", None) or ():
            yield cell.cell_contents
