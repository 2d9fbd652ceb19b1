"""A time limit on sync code. A thread cannot be stopped, so the caller leaves instead.

The threads are daemons, so that a call that never returns cannot keep the process from ending, and they are used
again: starting one for each call costs more than most calls do.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from resilience.outcome import EXPIRED, Outcome
from resilience.policy.base import Abandoned, Call, Policy

__all__ = ["Abandonment", "CallAbandoned", "run_in_worker"]

Drive: TypeAlias = Callable[[Sequence[Policy], int, Call, int], Outcome]

_IDLE = 10.0
"""Seconds a worker waits for its next call before it ends."""


class CallAbandoned(BaseException):
    """Unwinds a worker whose caller has left: no further attempt, permits given back. Never reaches a caller."""


class Abandonment:
    """Told when the caller leaves; whoever works inside an inner limit hears of it too.

    Nobody waits for most of them, and a `threading.Event` costs as much as handing a call to a worker does.
    """

    __slots__ = ("_event", "_inner", "left")

    def __init__(self, outer: Abandoned | None) -> None:
        self.left: bool = False
        self._event: threading.Event | None = None
        self._inner: list[Abandonment] | None = None
        if isinstance(outer, Abandonment):
            with _leaving:
                outer._inner = [*(outer._inner or ()), self]
                self.left = outer.left

    def leave(self) -> None:
        """Say that the caller has left."""
        with _leaving:
            self.left = True
            event, inner = self._event, self._inner
        if event is not None:
            event.set()
        for other in inner or ():
            other.leave()

    def wait(self, timeout: float, /) -> bool:
        """Wait, at most *timeout* seconds; return whether the caller has left."""
        with _leaving:
            if self.left:
                return True
            event = self._event = self._event or threading.Event()
        return event.wait(timeout)


_leaving = threading.Lock()


def run_in_worker(drive: Drive, stack: Sequence[Policy], depth: int, limit: float, call: Call) -> Outcome:
    """Drive *call* through *stack* from *depth* inwards in a worker thread, with the caller's context variables.

    EXPIRED after *limit* seconds. The thread runs on then until the user's function comes back; whatever would follow
    is not begun.
    """
    left = Abandonment(call.abandoned)
    work = _Work(drive, stack, depth, call.fork(left))
    try:
        return work.result() if call.clock.wait(work.begin, work.done, limit) else EXPIRED
    finally:
        left.leave()  # on Ctrl-C in the caller too: nobody waits for this thread any more


class Signal:
    """An event that is set once: a bare lock, taken from the beginning, a tenth of what `threading.Event` costs."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let everybody through who waits, or will."""
        self._lock.release()

    def wait(self, timeout: float) -> bool:
        """Wait, at most *timeout* seconds; return whether it was set."""
        if not self._lock.acquire(timeout=min(timeout, threading.TIMEOUT_MAX)):
            return False
        self._lock.release()
        return True


class _Work:
    """What a worker is to do, and what it came to."""

    __slots__ = ("_context", "_depth", "_drive", "_outcome", "_raised", "_stack", "call", "done")

    def __init__(self, drive: Drive, stack: Sequence[Policy], depth: int, call: Call) -> None:
        self._drive = drive
        self._stack = stack
        self._depth = depth
        self._context = contextvars.copy_context()
        self._outcome = EXPIRED
        self._raised: BaseException | None = None
        self.call = call
        self.done = Signal()

    def begin(self) -> None:
        """Hand this to a worker that has nothing to do, or to a new one."""
        try:
            worker = _idle.pop()  # the last to become idle: the others may end
        except IndexError:
            try:
                worker = _Worker()
            except RuntimeError as error:  # no thread to be had: a failed call like others, for the policies outside
                self._outcome = Outcome(None, error)
                self.done.set()
                return
        worker.take(self)

    def run(self) -> None:
        try:
            self._outcome = self._context.run(self._drive, self._stack, self._depth, self.call, self._depth)
        except BaseException as raised:  # handed to the caller, whose thread it belongs in
            self._raised = raised

    def result(self) -> Outcome:
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
        while self._called():
            work, self._work = self._work, None
            if work is None:
                continue
            self._thread.name = f"resilience {work.call.target}"
            work.run()
            done = work.done
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
    _idle.clear()  # threads do not survive a fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)
