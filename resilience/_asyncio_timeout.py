"""Async time limits on asyncio: one timer for all calls under the same limit, not one for each.

Calls under one limit expire in the order they began. So they wait in a table that keeps that order, and the loop's
timer is set for the oldest of them alone. A call that ends in time costs an entry in the table and no timer.

Cancellation is `asyncio.timeout`'s, to the letter: the task is cancelled once, and whether the cancellation that
comes back is the limit's own is told by `Task.cancelling` and `Task.uncancel`. A shield of anyio's holds it off, as on
trio (`resilience._shields`).

A limit that only one call has, such as what is left of a deadline, has a timer of its own, cancelled when the call ends
(`start_single`).
"""

from __future__ import annotations

import asyncio
import functools
import math
import sys
import threading
import weakref
from asyncio import _get_running_loop, current_task
from collections.abc import Callable
from typing import Any, cast

from resilience._deadline_context import current_deadline_any_clock
from resilience._outcome import set_context
from resilience._shields import BACKEND, hand_over, innermost, is_shielded, leave, substitute
from resilience.clock import SYSTEM
from resilience.settings import DISABLED

__all__ = [
    "SharedTimeout",
    "TimeoutEntry",
    "finish_timeout",
    "remaining_for_task",
    "shared_timeout",
    "start_single",
    "start_timeout",
    "time_left",
]


class TimeoutEntry:
    """A call under a limit. Without a constructor, which would double what it costs: there is one for every call."""

    __slots__ = ("cancelling", "due", "outside", "substitute", "table", "task")

    due: float
    task: asyncio.Task[object]
    #: How often the task was being cancelled when the call began.
    cancelling: int
    #: The calls in flight, of which this is one; None when the limit has passed.
    table: dict[TimeoutEntry, None] | None
    #: The cancel scope of anyio in which the call began; not set where anyio is not in use.
    outside: Any
    #: The cancel scope that took this limit's place when it expired in a shield; not set without one.
    substitute: Any


_MAX_DELETED = 1024
_modules = sys.modules


class SharedTimeout:
    """The calls under a limit of so many *seconds*, on whatever event loops."""

    __slots__ = ("__weakref__", "_last", "_lock", "_loops", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopTimer] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._last: _LoopTimer = _NO_LOOP
        with _making:
            _timers.add(self)

    def __del__(self) -> None:
        # With the last function under this limit its timers go too: whoever guards functions for one call each would
        # leave one for each in the event loop.
        for timer in self._loops.values():
            timer.disarm()

    def begin(self) -> TimeoutEntry | None:
        """Put the task that runs under the limit, until `finish_timeout`; None where none runs: on trio, in a callback.

        None as well where a test's clock is in force, a deadline is that this task has inherited, or all policies are
        switched off.
        """
        loop = _get_running_loop()
        if loop is None or (task := current_task(loop)) is None:
            return None
        # Of a deadline that does not cancel this task by itself, or of a test's clock.
        if (due := current_deadline_any_clock()) is not None and (due.task is not task or due.clock is not SYSTEM):
            return None
        timer = self._last
        if timer.loop() is not loop:
            if DISABLED.active_count and DISABLED.is_on():
                return None
            timer = self._of(loop)
        watch = TimeoutEntry()
        watch.due = moment = timer.now() + self.seconds
        watch.task = task
        watch.cancelling = task.cancelling()
        if BACKEND in _modules:
            watch.outside = innermost(task)
        watch.table = table = timer.table
        table[watch] = None
        if not timer.armed:
            timer.arm(loop, moment)
        return watch

    def _of(self, loop: asyncio.AbstractEventLoop) -> _LoopTimer:
        with self._lock:
            timer = self._loops.get(loop)
            if timer is None:
                timer = self._loops[loop] = _LoopTimer(weakref.ref(loop), type(loop))
            # While policies are switched off somewhere, every call has to look whether they are for it.
            self._last = _NO_LOOP if DISABLED.active_count else timer
        return timer

    def look_again(self) -> None:
        """Have the next call find its event loop, and the switch, anew."""
        with self._lock:
            self._last = _NO_LOOP

    def left_of(self, task: object) -> float:
        """Return the seconds that calls of *task* in flight have at least; infinity where it makes none."""
        loop = _get_running_loop()
        timer = None if loop is None else self._loops.get(loop)
        if timer is None:
            return math.inf
        return min((watch.due for watch in timer.table if _is_on(task, watch)), default=math.inf) - timer.now()


class _SingleTimeout(dict[TimeoutEntry, None]):
    """The table of a call that has a limit of its own."""

    __slots__ = ("__weakref__", "handle")

    handle: asyncio.Handle

    def __delitem__(self, watch: TimeoutEntry) -> None:
        super().__delitem__(watch)
        self.handle.cancel()


def start_timeout(seconds: float) -> TimeoutEntry | None:
    """Put the task that runs under a limit of *seconds*, as `Timer.begin` does.

    With the timer that all calls under a limit of that length share, or without if this is the first of them for long.
    """
    length = _length(seconds)
    if length.timer is None:
        if not length.seen:
            length.seen = True
            return start_single(seconds)
        length.timer = shared_timeout(seconds)
    return length.timer.begin()


def start_single(seconds: float) -> TimeoutEntry | None:
    """Put the task that runs under a limit of *seconds*, as `Timer.begin` does, with a timer of its own."""
    loop = _get_running_loop()
    if loop is None or (task := current_task(loop)) is None:
        return None
    if (due := current_deadline_any_clock()) is not None and (due.task is not task or due.clock is not SYSTEM):
        return None
    if DISABLED.active_count and DISABLED.is_on():
        return None
    watch = TimeoutEntry()
    watch.due = loop.time() + seconds
    watch.task = task
    watch.cancelling = task.cancelling()
    if BACKEND in _modules:
        watch.outside = innermost(task)
    watch.table = table = _SingleTimeout()
    table.handle = _call_at(loop, watch.due, functools.partial(_expire_alone, watch))
    table[watch] = None
    _alone[id(table)] = table
    return watch


def _expire_alone(watch: TimeoutEntry) -> None:
    assert watch.table is not None, "its timer is cancelled when it is over"
    del watch.table[watch]
    _expire(watch)


def _call_at(loop: asyncio.AbstractEventLoop, due: float, call: Callable[[], None]) -> asyncio.Handle:
    if due <= loop.time():  # shorter than the clock's tick: before whatever the task waits for
        return loop.call_soon(call)
    return loop.call_at(due, call)


def _expire(watch: TimeoutEntry) -> None:
    """Cancel the task of a call whose limit has passed."""
    watch.table = None
    if BACKEND in _modules:
        scope = substitute(watch.task, getattr(watch, "outside", None))
        if scope is not None:
            watch.substitute = scope
            return
    watch.task.cancel()


def finish_timeout(watch: TimeoutEntry, error: BaseException | None = None) -> bool:
    """Take the limit off a call that came to *error*, or to none; return whether it is the limit that ended it."""
    if watch.table is not None:
        del watch.table[watch]
        return False
    scope = getattr(watch, "substitute", None)
    if scope is not None:
        return leave(scope, watch.task, watch.cancelling, error)
    if watch.task.uncancel() > watch.cancelling or error is None:
        return False
    if isinstance(error, asyncio.CancelledError):
        return BACKEND not in _modules or not hand_over(watch.task)
    _explain(error)
    if isinstance(error, ExceptionGroup):
        for inside in cast("ExceptionGroup[Exception]", error).exceptions:
            _explain(inside)
    return False


def _explain(error: BaseException) -> None:
    """Say in the history of *error* that the cancellation it came of was a limit's, as `asyncio.timeout` does."""
    while (before := error.__context__) is not None:
        if isinstance(before, asyncio.CancelledError):
            limit = TimeoutError()
            set_context(limit, before)
            limit.__cause__ = before
            set_context(error, limit)
            return
        error = before


def _is_on(task: object, watch: TimeoutEntry) -> bool:
    """Return whether it is *task* that the limit of a call ends, and no shield stands in between."""
    return watch.task is task and not is_shielded(task, getattr(watch, "outside", None))


def time_left(watch: TimeoutEntry) -> float:
    """Return the seconds left to a call, in its own task."""
    return watch.due - asyncio.get_running_loop().time()


def remaining_for_task() -> float:
    """Return the seconds left to the running task by the limits it is under; infinity without."""
    loop = _get_running_loop()
    task = None if loop is None else current_task(loop)
    if task is None:
        return math.inf
    with _making:
        timers = list(_timers)
    alone = (time_left(watch) for table in list(_alone.values()) for watch in list(table) if _is_on(task, watch))
    return min(min((timer.left_of(task) for timer in timers), default=math.inf), min(alone, default=math.inf))


def _invalidate_cache() -> None:
    with _making:
        timers = list(_timers)
    for timer in timers:
        timer.look_again()


_timers: weakref.WeakSet[SharedTimeout] = weakref.WeakSet()
_making = threading.Lock()
DISABLED.on_change.append(_invalidate_cache)


_alone: weakref.WeakValueDictionary[int, _SingleTimeout] = weakref.WeakValueDictionary()
"""The tables of the calls in flight that have a timer of their own."""

_shared: weakref.WeakValueDictionary[float, SharedTimeout] = weakref.WeakValueDictionary()
_sharing = threading.Lock()


def shared_timeout(seconds: float) -> SharedTimeout:
    """Return the timer that all limits of so many *seconds* share, for as long as one of them keeps it."""
    with _sharing:
        timer = _shared.get(seconds)
        if timer is None:
            timer = _shared[seconds] = SharedTimeout(seconds)
    return timer


class _Length:
    """What is known of limits of one length that are not a decorated function's."""

    __slots__ = ("seen", "timer")

    def __init__(self) -> None:
        self.seen = False
        self.timer: SharedTimeout | None = None


@functools.lru_cache(maxsize=256)
def _length(seconds: float) -> _Length:  # noqa: ARG001  # the key
    return _Length()


class _LoopTimer:
    """The calls in flight on one event loop, the oldest first.

    It does not hold the loop: the loop holds it, while its timer is set.
    """

    #: Here, as the module's globals are gone when a timer goes with the interpreter.
    _running = staticmethod(_get_running_loop)

    __slots__ = ("__weakref__", "_gone", "_handle", "armed", "loop", "now", "table")

    def __init__(self, loop: weakref.ref[asyncio.AbstractEventLoop] | Callable[[], None], kind: type[object]) -> None:
        self.loop = loop
        #: The loop's own clock; asyncio's reads the machine's, and asking that is quicker.
        self.now: Callable[[], float] = (
            SYSTEM.now if getattr(kind, "time", None) is asyncio.BaseEventLoop.time else functools.partial(_now, loop)
        )
        self.table: dict[TimeoutEntry, None] = {}
        self.armed = False
        #: What the event loop calls back by. It holds the loop.
        self._handle: Callable[[], asyncio.Handle | None] = _nothing
        self._gone = 0

    def arm(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        """Have the loop call back at *due*."""
        self._handle = weakref.ref(_call_at(loop, due, self._fire))
        self.armed = True

    def disarm(self) -> None:
        """Have the loop forget this, unless calls are in flight: there will be no others."""
        handle, loop = self._handle(), self.loop()
        if handle is None or loop is None or self.table:
            return
        if self._running() is loop:
            handle.cancel()
            return
        try:
            loop.call_soon_threadsafe(handle.cancel)
        except RuntimeError:  # it is closed
            return

    def _fire(self) -> None:
        self.armed = False
        now, table = self.now(), self.table
        expired: list[TimeoutEntry] = []
        for watch in table:
            if watch.due > now:
                self.arm(asyncio.get_running_loop(), watch.due)
                break
            expired.append(watch)
        for watch in expired:
            del table[watch]
            _expire(watch)
        # A dict remembers the places of what was taken out until it grows: looking for its first entry gets slow.
        self._gone += len(expired)
        if self._gone > _MAX_DELETED:
            self._gone = 0
            left = dict(table)
            table.clear()
            table.update(left)


def _now(loop: Callable[[], asyncio.AbstractEventLoop | None]) -> float:
    found = loop()
    assert found is not None, "asked from the loop itself"
    return found.time()


def _nothing() -> None:
    return None


_NO_LOOP = _LoopTimer(_nothing, object)
"""The calls of a timer that was never used."""
