"""State that other libraries keep for each thread, carried into the worker thread of a call under a time limit.

Some libraries keep what belongs to the running call in thread-local objects, not in context variables. Without it
`anyio.from_thread.run` finds no event loop, `asgiref.sync.async_to_sync` starts another one, and a Celery task has no
request, so that ``self.retry()`` fails for good instead of trying again. The caller takes a copy of it, the worker has
it while the call runs, and then has its own again.

None of these libraries is imported. Where one of them looks different from what this module knows, its state is left
out. State that belongs to a thread by its nature (a database's connection, an open transaction) is not carried.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import ModuleType
from typing import Any, Protocol, TypeAlias

__all__ = ["ThreadState"]


class _Installed(Protocol):
    """State that can be put in force in the running thread, and taken back."""

    def install(self) -> None: ...

    def remove(self) -> None: ...


_Source: TypeAlias = Callable[[Any], list[_Installed]]


class ThreadState:
    """The state of the thread that makes it; in force in another thread while a ``with`` block there runs.

    It is a shallow copy: an attribute that the call sets stays in the worker, and ends with the block. One object
    serves one call. Workers are used again, so the block must leave the thread as it was, whatever the call has done.
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[_Installed] = []
        for module in _SOURCES.keys() & sys.modules.keys():
            with contextlib.suppress(AttributeError, TypeError):  # another version, or one that is being imported
                self._parts += _SOURCES[module](sys.modules[module])

    def __enter__(self) -> None:
        for part in self._parts:
            part.install()

    def __exit__(self, *raised: object) -> None:
        while self._parts:
            self._parts.pop().remove()


class _Attributes:
    """The attributes that a `threading.local` object has in one thread, with others *instead* of some."""

    def __init__(self, local: Any, instead: Mapping[str, object]) -> None:
        #: The attributes of the object in the thread that asks.
        self._here: Callable[[], dict[str, object]] = lambda: local.__dict__
        self._own: dict[str, object] = {}
        self._carried: dict[str, object] = {**self._here(), **instead}

    def install(self) -> None:
        here = self._here()
        self._own = {**here}
        here.update(self._carried)

    def remove(self) -> None:
        here = self._here()
        here.clear()
        here.update(self._own)


class _Stacks:
    """The entries of stacks that each thread has for itself, as Celery's `LocalStack` keeps them.

    The worker gets the same objects: a request that the task changes there is the task's own.
    """

    def __init__(self, *stacks: Any) -> None:
        self._entries = [(stack, entry) for stack in stacks for entry in stack.stack]

    def install(self) -> None:
        for stack, entry in self._entries:
            stack.push(entry)

    def remove(self) -> None:
        for stack, _ in self._entries:
            stack.pop()


def _attributes_of(path: str, **instead: object) -> _Source:
    """Return what finds the `_Attributes` of the object at *path* in a module, where this thread has any."""
    find = attrgetter(path)

    def attributes(module: ModuleType) -> list[_Installed]:
        local = find(module)
        if not vars(local):
            return []
        return [_Attributes(local, instead)]

    return attributes


_celery_app = _attributes_of("_tls")


def _celery(state: Any) -> list[_Installed]:
    """Return the current app, and the tasks that run in this thread, with their requests."""
    tasks = state._task_stack
    if not tasks.stack:
        return _celery_app(state)
    return [*_celery_app(state), _Stacks(tasks, *(task.request_stack for task in set(tasks.stack)))]


_SOURCES: Mapping[str, _Source] = {
    "anyio._core._eventloop": _attributes_of("threadlocals"),
    # trio sends a function to the task that waits for this thread, and relies on it to wait. The task of an abandoned
    # call waits no longer. With this, trio makes a task of its own for the function.
    "trio._threads": _attributes_of("PARENT_TASK_DATA", abandon_on_cancel=True),
    "asgiref.sync": _attributes_of("SyncToAsync.threadlocal"),
    "celery._state": _celery,
}
"""The modules whose state is carried, where they have been loaded, and how it is found in them."""
