"""A time limit on sync code. A thread cannot be stopped, so the caller leaves instead.

The threads are daemons, so that a call that never returns cannot keep the process from ending, and they are used
again: starting one for each call costs more than most calls do. There is no queue: a call that finds none idle starts
one, so that waiting for a thread is never taken for a slow call.

Those left behind are counted. When there are as many as `settings` allows, whatever they wait for is not coming back,
and one more thread would help nobody.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from resilience._runtime.carried_context import copy_back
from resilience._runtime.protocol import Abandoned, Call, Policy
from resilience.errors.base import TooManyAbandonedError
from resilience.outcome import EXPIRED, Outcome
from resilience.settings import ABANDONED_THREADS

__all__ = ["Abandonment", "CallAbandoned", "Drive", "abandoned", "in_worker", "run_in_worker"]

Drive: TypeAlias = Callable[[Sequence[Policy], int, Call, int], Outcome]

_IDLE = 10.0
"""Seconds a worker waits for its next call before it ends."""


class CallAbandoned(BaseException):
    """Unwinds a worker whose caller has left: no further attempt, permits given back. Never reaches a caller."""


def abandoned() -> int:
    """Return how many calls of this process still run in a thread although their callers have left."""
    return len(_abandoned)


def in_worker() -> bool:
    """Whether this thread is a worker."""
    return getattr(_here, "works", False)


class Abandonment:
    """Told when the caller leaves; whoever works inside an inner limit hears of it too.

    Nobody waits for most of them, and a `threading.Event` costs as much as handing a call to a worker does.
    """

    __slots__ = ("_event", "_inner", "_outer", "_running", "done", "left", "over")

    def __init__(self, outer: Abandoned | None) -> None:
        self.left: bool = False
        #: Whether the call has come back, or never will: then `done` is set.
        self.over: bool = False
        self.done: Signal = Signal()
        self._running = False
        self._event: threading.Event | None = None
        self._inner: set[Abandonment] = set()
        self._outer: Abandonment | None = outer if isinstance(outer, Abandonment) else None
        if self._outer is not None:
            with _leaving:
                self._outer._inner.add(self)
                self.left = self._outer.left

    def begin(self) -> bool:
        """Say, in the worker, that the call begins; return whether anybody still waits for it."""
        with _leaving:
            self._running = not self.left
            return self._running

    def end(self) -> None:
        """Say, in the worker, that the call has come back."""
        with _leaving:
            self.over = True
            _abandoned.discard(self)
            if self._outer is not None:
                self._outer._inner.discard(self)

    def leave(self) -> None:
        """Say that the caller has left."""
        with _leaving:
            self.left = True
            if self._running and not self.over:
                _abandoned.add(self)
            event, inner = self._event, [*self._inner]
        if event is not None:
            event.set()
        for other in inner:
            other.leave()
            other.done.set()  # a worker that waits for another one is free

    def wait(self, timeout: float, /) -> bool:
        """Wait, at most *timeout* seconds; return whether the caller has left."""
        with _leaving:
            if self.left:
                return True
            event = self._event = self._event or threading.Event()
        return event.wait(timeout)


# Re-entrant: a signal's handler, which may make limited calls as well, runs in the midst of anything.
_leaving = threading.RLock()
_abandoned = ABANDONED_THREADS.running
_here = threading.local()


def run_in_worker(drive: Drive, stack: Sequence[Policy], depth: int, limit: float, call: Call) -> Outcome:
    """Drive *call* through *stack* from *depth* inwards in a worker thread, with the caller's context variables.

    EXPIRED after *limit* seconds. The thread runs on then until the user's function comes back; whatever would follow
    is not begun. With `ABANDONED_THREADS.limit` such threads the outcome is a `TooManyAbandonedError`, at once.
    """
    if call.abandoned is not None and call.abandoned.left:
        raise CallAbandoned
    if (running := len(_abandoned)) >= ABANDONED_THREADS.limit:
        return Outcome(None, TooManyAbandonedError(call.target, running))
    left = Abandonment(call.abandoned)
    work = _Work(drive, stack, depth, call.fork(depth, left), left)
    try:
        if not call.clock.wait(work.begin, left.done, limit):
            return EXPIRED
        if not left.over:  # not the call has come back: the caller of this thread's own has left
            raise CallAbandoned
        return work.result()
    finally:
        if not left.over:
            left.leave()  # on Ctrl-C in the caller too: nobody waits for this thread any more


class Signal:
    """An event that is set once: a bare lock, taken from the beginning, a tenth of what `threading.Event` costs."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let everybody through who waits, or will."""
        _release(self._lock)

    def wait(self, timeout: float) -> bool:
        """Wait, at most *timeout* seconds; return whether it was set."""
        if not self._lock.acquire(timeout=min(timeout, threading.TIMEOUT_MAX)):
            return False
        _release(self._lock)
        return True


def _release(lock: threading.Lock) -> None:
    try:
        lock.release()
    except RuntimeError:  # set twice: by the call that came back, and by the caller's caller who left
        pass


class _Work:
    """What a worker is to do, and what it came to."""

    __slots__ = ("_context", "_depth", "_drive", "_outcome", "_raised", "_stack", "call", "left")

    def __init__(self, drive: Drive, stack: Sequence[Policy], depth: int, call: Call, left: Abandonment) -> None:
        self._drive = drive
        self._stack = stack
        self._depth = depth
        self._context = contextvars.copy_context()
        self._outcome = EXPIRED
        self._raised: BaseException | None = None
        self.call = call
        self.left = left

    def begin(self) -> None:
        """Hand this to a worker that has nothing to do, or to a new one."""
        try:
            worker = _idle.pop()  # the last to become idle: the others may end
        except IndexError:
            try:
                worker = _Worker()
            except RuntimeError as error:  # no thread to be had: a failed call like others, for the policies outside
                self._outcome = Outcome(None, error)
                self.left.end()
                self.left.done.set()
                return
        worker.take(self)

    def run(self) -> None:
        if self.left.begin():  # or the caller is gone already: Ctrl-C
            try:
                self._outcome = self._context.run(self._drive, self._stack, self._depth, self.call, self._depth)
            except BaseException as raised:  # handed to the caller, whose thread it belongs in
                self._raised = raised
        self.left.end()

    def result(self) -> Outcome:
        copy_back(self._context)
        if self._raised is None:
            outcome, self._outcome = self._outcome, EXPIRED  # see `drive`: no way back to the error
            return outcome
        try:
            raise self._raised
        finally:
            self._raised = None


class _Worker:
    """A thread that does one piece of work after the other, and ends when none has come for a while."""

    def __init__(self) -> None:
        self._ready = threading.Lock()
        self._ready.acquire()
        self._work: _Work | None = None
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def take(self, work: _Work) -> None:
        self._work = work
        self._ready.release()

    def _live(self) -> None:
        _here.works = True
        while self._called():
            work, self._work = self._work, None
            if work is None:
                continue
            self._thread.name = f"resilience {work.call.target}"
            work.run()
            done = work.left.done
            del work  # what the call was made of must not outlive it in an idle thread
            self._thread.name = "resilience idle"
            # Idle before the caller hears of it: its next call finds this thread, and starts no other.
            _idle.append(self)
            done.set()

    def _called(self) -> bool:
        if self._ready.acquire(timeout=_IDLE):
            return True
        try:
            _idle.remove(self)
        except ValueError:  # taken a moment ago: work is on its way
            return self._ready.acquire()
        return False


# A deque: appended to and taken from by many threads without a lock.
_idle: deque[_Worker] = deque()


def _forget_workers() -> None:
    global _leaving
    _leaving = threading.RLock()  # another thread may have held it
    _idle.clear()  # threads do not survive a fork
    _abandoned.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)
