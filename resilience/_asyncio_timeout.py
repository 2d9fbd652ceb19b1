"""Async time limits on asyncio: one timer for all calls under the same limit, not one for each.

Calls under limits of the same length expire in the order in which they started. `SharedTimeout` keeps them in a table
in that order, and sets the event loop's timer for the oldest call alone. A call that ends in time costs an entry in the
table and no timer.

Cancellation matches `asyncio.timeout` exactly: the task is cancelled once, and `Task.cancelling` and `Task.uncancel`
say whether the cancellation that comes back is the limit's own. A shield of anyio holds the limit off, as on trio
(`resilience._shields`).

A limit of a length that no other call has, such as the rest of a deadline, has a timer of its own that is cancelled
when the call ends (`start_single`).

Every limited call runs `SharedTimeout.start` and `finish_timeout`. They are written for speed, with few calls.
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
from resilience._forks import fork_safe
from resilience._outcome import set_context
from resilience._shields import BACKEND, hand_over, innermost, is_shielded, leave, substitute
from resilience._task_tree import works_for
from resilience.clock import SYSTEM
from resilience.settings import DISABLED

__all__ = [
    "SharedTimeout",
    "TimeoutEntry",
    "cancel_task",
    "enter_table",
    "expire_entry",
    "finish_timeout",
    "has_passed_for_task",
    "remaining_for_task",
    "shared_timeout",
    "start_alarm",
    "start_single",
    "start_timeout",
    "stop_alarm",
    "time_left",
]


class TimeoutEntry:
    """A call under a limit, from its start to its end. Without a constructor, which would double its cost."""

    __slots__ = ("alarm", "cancelling", "due", "outside", "substitute", "table", "task")

    #: Called when the time has passed, in place of a cancellation; not set for a limit.
    alarm: Callable[[], object] | None
    due: float
    task: asyncio.Task[object]
    #: The number of cancellation requests that the task had when the call started.
    cancelling: int
    #: The calls in flight, of which this is one; None when the limit has passed.
    table: dict[TimeoutEntry, None] | None
    #: The cancel scope of anyio in which the call started; not set where anyio is not in use.
    outside: Any
    #: The cancel scope that stands for this limit since it expired inside a shield; not set without one.
    substitute: Any


_MAX_DELETED = 1024
_modules = sys.modules


class SharedTimeout:
    """The calls under limits of the same length, in *seconds*: a table and a timer for each event loop."""

    __slots__ = ("__weakref__", "_last", "_lock", "_loops", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopTimer] = weakref.WeakKeyDictionary()
        self._lock = fork_safe(threading.Lock())
        self._last: _LoopTimer = _NO_LOOP
        with _registry_lock:
            _timers.add(self)

    def __del__(self) -> None:
        # With the last function under this limit its timers go too: a program that guards functions for one call each
        # would leave one for each in the event loop.
        for timer in self._loops.values():
            timer.disarm()

    def start(self) -> TimeoutEntry | None:
        """Put the running task under the limit, until `finish_timeout`, and return the entry of the call.

        None where no task of asyncio runs (on trio, in a callback), where a test's clock is in force, where the task
        has inherited a deadline, and where all policies are switched off: then the slow path is responsible.
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
        entry = TimeoutEntry()
        entry.due = moment = timer.now() + self.seconds
        entry.task = task
        entry.cancelling = task.cancelling()
        if BACKEND in _modules:
            entry.outside = innermost(task)
        entry.table = table = timer.table
        table[entry] = None
        if not timer.armed:
            timer.arm(loop, moment)
        return entry

    def _of(self, loop: asyncio.AbstractEventLoop) -> _LoopTimer:
        with self._lock:
            timer = self._loops.get(loop)
            if timer is None:
                timer = self._loops[loop] = _LoopTimer(weakref.ref(loop), type(loop))
                _note_timer(loop, timer)
            # While policies are switched off in some context, every call has to check its own.
            self._last = _NO_LOOP if DISABLED.active_count else timer
        return timer

    def invalidate_cache(self) -> None:
        """Have the next call look up the timer of its event loop, and check the switch, again."""
        with self._lock:
            self._last = _NO_LOOP


class _SingleTimeout(dict[TimeoutEntry, None]):
    """The table of a call with a timer of its own: removing the entry cancels the timer."""

    __slots__ = ("__weakref__", "handle")

    handle: asyncio.Handle

    def __delitem__(self, entry: TimeoutEntry) -> None:
        super().__delitem__(entry)
        self.handle.cancel()


def start_timeout(seconds: float) -> TimeoutEntry | None:
    """Put the running task under a limit of *seconds*, as `SharedTimeout.start` does.

    The first limit of a length has a timer of its own; from the second on all limits of that length share one.
    """
    length = _length(seconds)
    if length.timer is None:
        if not length.seen:
            length.seen = True
            return start_single(seconds)
        length.timer = shared_timeout(seconds)
    return length.timer.start()


def start_single(seconds: float) -> TimeoutEntry | None:
    """Put the running task under a limit of *seconds*, as `SharedTimeout.start` does, with a timer of its own."""
    loop = _get_running_loop()
    if loop is None or (task := current_task(loop)) is None:
        return None
    if (due := current_deadline_any_clock()) is not None and (due.task is not task or due.clock is not SYSTEM):
        return None
    if DISABLED.active_count and DISABLED.is_on():
        return None
    table = _SingleTimeout()
    entry = enter_table(table, task, loop.time() + seconds)
    table.handle = _call_at(loop, entry.due, functools.partial(expire_entry, entry))
    _single_timeouts[id(table)] = table
    return entry


def enter_table(table: dict[TimeoutEntry, None], task: asyncio.Task[Any], due: float) -> TimeoutEntry:
    """Put *task*, the running one, into a *table* whose owner calls `expire_entry` when the moment *due* has come."""
    entry = TimeoutEntry()
    entry.due = due
    entry.task = task
    entry.cancelling = task.cancelling()
    if BACKEND in _modules:
        entry.outside = innermost(task)
    entry.table = table
    table[entry] = None
    return entry


def expire_entry(entry: TimeoutEntry) -> None:
    """Take a call whose moment has come out of its table, and cancel its task."""
    assert entry.table is not None, "a call that is over is in no table"
    del entry.table[entry]
    _expire(entry)


def _call_at(loop: asyncio.AbstractEventLoop, due: float, call: Callable[[], None]) -> asyncio.Handle:
    if due <= loop.time():  # shorter than the clock's tick: before the event that the task waits for
        return loop.call_soon(call)
    return loop.call_at(due, call)


def start_alarm(seconds: float, alarm: Callable[[], object]) -> TimeoutEntry | None:
    """Have *alarm* called by the event loop in *seconds*, unless `stop_alarm` comes first; nothing is cancelled.

    It shares its timer with limits of the same length. *alarm* must not raise. None where `SharedTimeout.start` gives
    None.
    """
    entry = start_timeout(seconds)
    if entry is not None:
        entry.alarm = alarm
    return entry


def stop_alarm(entry: TimeoutEntry) -> None:
    """Forget an alarm, and take it out of the table unless its time has passed."""
    entry.alarm = None  # it may lead to the frame that keeps the entry
    if entry.table is not None:
        del entry.table[entry]
        entry.table = None


def _expire(entry: TimeoutEntry) -> None:
    """Cancel the task of a call whose limit has passed, or call its alarm."""
    entry.table = None
    alarm = getattr(entry, "alarm", None)
    if alarm is not None:
        alarm()
        return
    _passed.add(entry)
    cancel_task(entry)


def cancel_task(entry: TimeoutEntry) -> None:
    """Cancel the task of a call, which `finish_timeout` ends, as where a limit has passed.

    That of an alarm whose time has passed is cancelled in the same way. It is no limit: for the policies inside, the
    call was cancelled.
    """
    if BACKEND in _modules:
        scope = substitute(entry.task, getattr(entry, "outside", None))
        if scope is not None:
            entry.substitute = scope
            return
    entry.task.cancel()


def finish_timeout(entry: TimeoutEntry, error: BaseException | None = None) -> bool:
    """End the limit of a call that ended with *error*, or None; return whether the limit has ended the call.

    Where it has, the caller raises its own error in place of the cancellation. *error* may also be another exception
    that the function raised while it was cancelled; it is raised as it is, with a TimeoutError in its context.
    """
    if entry.table is not None:
        del entry.table[entry]
        return False
    _passed.discard(entry)
    scope = getattr(entry, "substitute", None)
    if scope is not None:
        return leave(scope, entry.task, entry.cancelling, error)
    if entry.task.uncancel() > entry.cancelling or error is None:
        return False
    if isinstance(error, asyncio.CancelledError):
        return BACKEND not in _modules or not hand_over(entry.task)
    _set_timeout_context(error)
    if isinstance(error, ExceptionGroup):
        for inside in cast("ExceptionGroup[Exception]", error).exceptions:
            _set_timeout_context(inside)
    return False


def _set_timeout_context(error: BaseException) -> None:
    """Put a TimeoutError before the cancellation in the contexts of *error*, as `asyncio.timeout` does."""
    while (before := error.__context__) is not None:
        if isinstance(before, asyncio.CancelledError):
            limit = TimeoutError()
            set_context(limit, before)
            limit.__cause__ = before
            set_context(error, limit)
            return
        error = before


def _ends(task: object, entry: TimeoutEntry) -> bool:
    """Return whether the limit of a call cancels *task*, and no shield stands in between."""
    if getattr(entry, "alarm", None) is not None:
        return False
    return entry.task is task and not is_shielded(task, getattr(entry, "outside", None))


def has_passed_for_task() -> bool:
    """Whether a limit has passed that cancels the running task: one around it, or around a task that waits for it."""
    loop = _get_running_loop()
    if loop is None or not _passed or (task := current_task(loop)) is None:
        return False
    return any(
        works_for(task, entry.task) and not is_shielded(task, getattr(entry, "outside", None))
        for entry in list(_passed)
    )


def time_left(entry: TimeoutEntry) -> float:
    """Return the seconds until a call expires. Called in the task of the call."""
    return entry.due - asyncio.get_running_loop().time()


def remaining_for_task() -> float:
    """Return the seconds until the first limit around the running task expires; infinity without one.

    The entries of all tasks are looked through, so this asks of most of them no more than whose they are.
    """
    loop = _get_running_loop()
    if loop is None or (task := current_task(loop)) is None:
        return math.inf
    tables: list[dict[TimeoutEntry, None] | None] = [
        timer.table for found in _loop_timers.get(loop, ()) if (timer := found()) is not None and timer.table
    ]
    tables += [found() for found in _single_timeouts.valuerefs()]
    own = [entry for table in tables if table is not None for entry in list(table) if entry.task is task]
    return min([entry.due for entry in own if _ends(task, entry)], default=math.inf) - loop.time()


def _invalidate_caches() -> None:
    """Have each timer check again whether policies are switched off."""
    with _registry_lock:
        timers = list(_timers)
    for timer in timers:
        timer.invalidate_cache()


_timers: weakref.WeakSet[SharedTimeout] = weakref.WeakSet()
_registry_lock = fork_safe(threading.Lock())
DISABLED.on_change.append(_invalidate_caches)


_passed: set[TimeoutEntry] = set()
"""The calls whose limits have passed, and which have not ended yet."""

_loop_timers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, list[weakref.ref[_LoopTimer]]] = (
    weakref.WeakKeyDictionary()
)
"""The timers of each event loop, of limits of all lengths."""


def _note_timer(loop: asyncio.AbstractEventLoop, timer: _LoopTimer) -> None:
    """Have `remaining_for_task` look at a new *timer* of *loop*."""
    with _registry_lock:
        kept = [found for found in _loop_timers.get(loop, ()) if found() is not None]
        _loop_timers[loop] = [*kept, weakref.ref(timer)]


_single_timeouts: weakref.WeakValueDictionary[int, _SingleTimeout] = weakref.WeakValueDictionary()
"""The tables of the calls in flight that have a timer of their own."""

_shared: weakref.WeakValueDictionary[float, SharedTimeout] = weakref.WeakValueDictionary()
_sharing = fork_safe(threading.Lock())


def shared_timeout(seconds: float) -> SharedTimeout:
    """Return the timer that all limits of *seconds* share. It exists for as long as one of them refers to it."""
    with _sharing:
        timer = _shared.get(seconds)
        if timer is None:
            timer = _shared[seconds] = SharedTimeout(seconds)
    return timer


class _Length:
    """The limits of one length that belong to blocks and slow paths, not to the wrapper of a function."""

    __slots__ = ("seen", "timer")

    def __init__(self) -> None:
        self.seen = False
        self.timer: SharedTimeout | None = None


@functools.lru_cache(maxsize=256)
def _length(seconds: float) -> _Length:  # noqa: ARG001  # the key
    return _Length()


class _LoopTimer:
    """The calls in flight on one event loop under limits of one length, the oldest first, and the loop's timer for it.

    It does not keep the loop alive: the loop refers to it while its timer is set, and not the other way round.
    """

    #: Stored here because the module's globals are gone when a timer is collected at the end of the interpreter.
    _running = staticmethod(_get_running_loop)

    __slots__ = ("__weakref__", "_deleted", "_handle", "armed", "loop", "now", "table")

    def __init__(self, loop: weakref.ref[asyncio.AbstractEventLoop] | Callable[[], None], kind: type[object]) -> None:
        self.loop = loop
        #: The loop's own clock. Loops of asyncio use the system's, which is quicker to call directly.
        self.now: Callable[[], float] = functools.partial(_now, loop)
        if getattr(kind, "time", None) is asyncio.BaseEventLoop.time:
            self.now = SYSTEM.now
        self.table: dict[TimeoutEntry, None] = {}
        self.armed = False
        #: A weak reference to the event loop's handle, which refers to the loop.
        self._handle: Callable[[], asyncio.Handle | None] = _nothing
        self._deleted = 0

    def arm(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        """Have the loop call back at *due*."""
        self._handle = weakref.ref(_call_at(loop, due, self._fire))
        self.armed = True

    def disarm(self) -> None:
        """Cancel the loop's timer, unless calls are in flight. Called when no further call can start."""
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
        """Expire the calls that are due, and set the timer for the oldest of the others."""
        self.armed = False
        now, table = self.now(), self.table
        expired: list[TimeoutEntry] = []
        for entry in table:
            if entry.due > now:
                self.arm(asyncio.get_running_loop(), entry.due)
                break
            expired.append(entry)
        for entry in expired:
            del table[entry]
            _expire(entry)
        # A dict keeps the places of deleted entries until it grows: finding its first entry gets slow.
        self._deleted += len(expired)
        if self._deleted > _MAX_DELETED:
            self._deleted = 0
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
"""The timer of no event loop, in place of the last one used."""
