"""Writes to a user's store that no call waits for: the latest value of each key, one write after the other.

The writes are made by a worker thread for sync calls, by a task of the event loop for async ones. Values that are not
written yet can be read, so that a store which is slow, or hangs, has the same answers. There is at most one write at a
time, and at most `MAX_PENDING` values wait: a later one of the same key takes the place of the one before.
"""

from __future__ import annotations

import contextvars
import functools
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable, Generator, Hashable
from typing import Any, cast

from resilience._callback_errors import RUNNING, refuse_coroutine, with_hook
from resilience._deadline_context import leave_deadline
from resilience._forks import call_in_forked_child, fork_safe
from resilience._runtime.worker_threads import OneShotEvent, begin_work
from resilience.clock import current_clock

__all__ = ["MAX_PENDING", "WriteBehind"]

MAX_PENDING = 1000
"""Values that wait to be written; beyond that the oldest is dropped."""


class WriteBehind:
    """The values of a *store* that are still to be written by *write*, a function of key and value.

    *write* may be async in async calls, and has so many *seconds* for each value. *failed* is called with the error of
    a write, by the thread or task that writes: it must not raise.

    It is its own effect: a policy has a runner call `begin`. An async runner awaits what that returns, and a task is
    started; a sync runner hands it back, and the policy has `begin_thread` called. Neither waits for the store.

    Any thread or task may `put`. One writer at a time takes values until none is left: ``_writes`` says that there is
    one. It is set under the lock together with the values, so that two calls never begin two writers. The user's store
    is never called under the lock.
    """

    def __init__(
        self,
        store: object,
        write: Callable[[Any, Any], object],
        seconds: float,
        failed: Callable[[Exception], object],
    ) -> None:
        self._store = store
        self._write = write
        self._seconds = seconds
        self._failed = failed
        self._pending: dict[Hashable, object] = {}
        self._writes = False
        self._began = 0.0
        self._lock = fork_safe(threading.RLock())  # the collector may run while it is held
        _all.add(self)

    def put(self, key: Hashable, value: object) -> bool:
        """Have *value* written; return whether a writer has to be begun."""
        with self._lock:
            self._pending.pop(key, None)
            if len(self._pending) >= MAX_PENDING:
                del self._pending[next(iter(self._pending))]
            self._pending[key] = value
            begins, self._writes = not self._writes, True
        if not begins and current_clock().now() - self._began > self._seconds:
            self._failed(_took_too_long(self._seconds))  # a thread that hangs in a write
        return begins

    def pending(self, key: Hashable) -> object:
        """Return the value of *key* that is not written yet; None without one."""
        with self._lock:
            return self._pending.get(key)

    # -- as an effect --------------------------------------------------------------------------------------------

    def begin(self) -> WriteBehind:
        """Return this, which an async runner awaits."""
        return self

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()
        context = contextvars.copy_context()
        context.run(self._detach)
        trio = sys.modules.get("trio.lowlevel")
        if trio is not None and _in_trio(trio):
            trio.spawn_system_task(self._write_all_async, context=context)
            return
        import asyncio

        task = asyncio.get_running_loop().create_task(self._write_all_async(), context=context)
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    def begin_thread(self) -> None:
        """Begin to write in a worker thread. Where none can be started, the values wait for the next call."""
        try:
            begin_work(_Writer(functools.partial(contextvars.copy_context().run, self._write_all)))
        except (RuntimeError, MemoryError) as error:
            self._writes = False
            self._failed(error)

    def _detach(self) -> None:
        """Leave the call whose context this is: its deadline is not that of the write."""
        leave_deadline()
        RUNNING.set(with_hook(self._store))

    # -- writing ---------------------------------------------------------------------------------------------------

    def _next(self) -> tuple[Hashable, object] | None:
        """Return the value to write next; None where there is none, and the writer ends."""
        with self._lock:
            self._began = current_clock().now()
            found = next(iter(self._pending.items()), None)
            self._writes = found is not None
            return found

    def _written(self, key: Hashable, value: object) -> None:
        """Forget a value, unless a later one has taken its place. One that failed is not tried again."""
        with self._lock:
            if self._pending.get(key) is value:
                del self._pending[key]

    def _write_all(self) -> None:
        """Write until nothing is left, in a worker thread. An error is reported, and the next value is written."""
        self._detach()
        try:
            while (found := self._next()) is not None:
                try:
                    refuse_coroutine(self._write(*found))
                except Exception as error:
                    self._failed(error)
                self._written(*found)
        except BaseException:
            self._writes = False
            raise

    async def _write_all_async(self) -> None:
        """Write until nothing is left, in a task."""
        try:
            while (found := self._next()) is not None:
                await self._write_async(*found)
                self._written(*found)
        except BaseException:  # the event loop ends
            self._writes = False
            raise

    async def _write_async(self, key: Hashable, value: object) -> None:
        """Write one value within the time for it. A write that takes longer is cancelled, and reported."""
        try:
            with current_clock().move_on_after(self._seconds) as limit:
                answer = self._write(key, value)
                if isinstance(answer, Awaitable):
                    await cast("Awaitable[object]", answer)
            if limit.expired:
                self._failed(_took_too_long(self._seconds))
        except Exception as error:
            self._failed(error)

    def forked(self) -> None:
        """Note that no thread or task writes, in a forked process."""
        self._writes = False


class _Writer:
    """The work of a worker thread: to write what is pending."""

    __slots__ = ("_write_all", "done")

    target = "stale cache"  # what the thread is called

    def __init__(self, write_all: Callable[[], None]) -> None:
        self._write_all = write_all
        self.done: OneShotEvent = OneShotEvent()

    def run(self) -> None:
        """Write, in the worker."""
        self._write_all()


def _in_trio(trio: Any) -> bool:
    """Return whether a task of trio runs in this thread."""
    try:
        trio.current_task()
    except RuntimeError:
        return False
    return True


def _took_too_long(seconds: float) -> TimeoutError:
    """Return the error that is reported for a write without an answer."""
    return TimeoutError(f"no answer within {seconds:g} s")


_tasks: set[object] = set()
"""The tasks that write: an event loop refers to its tasks weakly."""

_all: weakref.WeakSet[WriteBehind] = weakref.WeakSet()


def _forget_writers() -> None:
    """Have the values written by new writers, in a forked process."""
    for each in _all:
        each.forked()


call_in_forked_child(_forget_writers)
