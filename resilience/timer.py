"""Async time limits on asyncio: one timer for all calls under the same limit, not one for each.

Calls under one limit expire in the order they began. So they wait in a table that keeps that order, and the loop's
timer is set for the oldest of them alone. A call that ends in time costs an entry in the table and no timer.

Cancellation is `asyncio.timeout`'s, to the letter: the task is cancelled once, and whether the cancellation that
comes back is the limit's own is told by `Task.cancelling` and `Task.uncancel`.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from asyncio import _get_running_loop, current_task
from collections.abc import Callable

from resilience.clock import SYSTEM, current_clock

__all__ = ["Timer", "Watch", "over", "timer_of"]


class Watch:
    """A call under a limit. Without a constructor, which would double what it costs: there is one for every call."""

    __slots__ = ("cancelling", "due", "table", "task")

    due: float
    task: asyncio.Task[object]
    #: How often the task was being cancelled when the call began.
    cancelling: int
    #: The calls in flight, of which this is one; None when the limit has passed.
    table: dict[Watch, None] | None


_MOST_GONE = 1024


class Timer:
    """The calls under a limit of so many *seconds*, on whatever event loops."""

    __slots__ = ("_last", "_lock", "_loops", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopTimer] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._last: _LoopTimer = _NOWHERE

    def begin(self) -> Watch | None:
        """Put the task that runs under the limit, until `over`; None where none runs: on trio, in a callback.

        None as well where a test's clock is in force.
        """
        if current_clock() is not SYSTEM:
            return None
        loop = _get_running_loop()
        if loop is None or (task := current_task(loop)) is None:
            return None
        timer = self._last
        if timer.loop() is not loop:
            timer = self._of(loop)
        watch = Watch()
        watch.due = due = timer.now() + self.seconds
        watch.task = task
        watch.cancelling = task.cancelling()
        watch.table = table = timer.table
        table[watch] = None
        if not timer.armed:
            timer.arm(loop, due)
        return watch

    def _of(self, loop: asyncio.AbstractEventLoop) -> _LoopTimer:
        with self._lock:
            timer = self._loops.get(loop)
            if timer is None:
                timer = self._loops[loop] = _LoopTimer(weakref.ref(loop), type(loop))
            self._last = timer
        return timer


def over(watch: Watch, error: BaseException | None = None) -> bool:
    """Take the limit off a call that came to *error*, or to none; return whether it is the limit that ended it."""
    if watch.table is not None:
        del watch.table[watch]
        return False
    still_cancelled = watch.task.uncancel() > watch.cancelling
    return isinstance(error, asyncio.CancelledError) and not still_cancelled


@functools.lru_cache(maxsize=256)
def timer_of(seconds: float) -> Timer:
    """Return the timer that all limits of so many *seconds* share."""
    return Timer(seconds)


class _LoopTimer:
    """The calls in flight on one event loop, the oldest first.

    It does not hold the loop: the loop holds it, while its timer is set.
    """

    __slots__ = ("__weakref__", "_gone", "armed", "loop", "now", "table")

    def __init__(self, loop: weakref.ref[asyncio.AbstractEventLoop] | Callable[[], None], kind: type[object]) -> None:
        self.loop = loop
        #: The loop's own clock; asyncio's reads the machine's, and asking that is quicker.
        self.now: Callable[[], float] = (
            SYSTEM.now if getattr(kind, "time", None) is asyncio.BaseEventLoop.time else functools.partial(_now, loop)
        )
        self.table: dict[Watch, None] = {}
        self.armed = False
        self._gone = 0

    def arm(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        """Have the loop call back at *due*."""
        loop.call_at(due, self._fire)
        self.armed = True

    def _fire(self) -> None:
        self.armed = False
        now, table = self.now(), self.table
        expired: list[Watch] = []
        for watch in table:
            if watch.due > now:
                self.arm(asyncio.get_running_loop(), watch.due)
                break
            expired.append(watch)
        for watch in expired:
            del table[watch]
            watch.table = None
            watch.task.cancel()
        # A dict remembers the places of what was taken out until it grows: looking for its first entry gets slow.
        self._gone += len(expired)
        if self._gone > _MOST_GONE:
            self._gone = 0
            left = dict(table)
            table.clear()
            table.update(left)


def _now(loop: Callable[[], asyncio.AbstractEventLoop | None]) -> float:
    found = loop()
    assert found is not None, "asked from the loop itself"
    return found.time()


_NOWHERE = _LoopTimer(lambda: None, object)
"""The calls of a timer that was never used."""
