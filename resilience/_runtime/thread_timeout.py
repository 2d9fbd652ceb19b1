"""A time limit on sync code: the call runs in a worker thread, and its caller stops waiting when the time has passed.

A thread cannot be stopped from outside. So the caller leaves it, and the user's function runs on until it returns by
itself. From then on nothing more of the call is begun. The runner in that thread looks at the call's `CancelToken`
before each attempt, wakes from waits when it is cancelled, and unwinds by `CallAbandoned`, so that policies inside the
limit give back what they took. The tokens of inner limits are cancelled with it. A late outcome is dropped.

Workers are daemons, so that a call that never returns cannot keep the process from ending, and they are used again:
starting one for each call costs more than most calls do. There is no queue: a call that finds none idle starts one, so
that waiting for a thread is never taken for a slow call. The call runs in a copy of the caller's context, and what it
sets of the toolkit's own variables is carried back, see `carried_context`.

Threads that were left behind are counted. With as many of them as `settings` allows the dependency does not come
back, and further calls are refused instead of starting one more.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from resilience._forks import call_in_forked_child
from resilience._listeners import emit, has_listeners
from resilience._outcome import TIMED_OUT, Outcome
from resilience._runtime.carried_context import copy_back
from resilience._runtime.circuit_context import copied_context
from resilience._runtime.protocol import Abandoned, Call, Policy
from resilience.errors.base import TooManyAbandonedError
from resilience.settings import ABANDONED_THREADS

__all__ = [
    "CallAbandoned",
    "CancelToken",
    "Drive",
    "abandoned",
    "check_caller",
    "in_worker",
    "run_in_worker",
]

Drive: TypeAlias = Callable[[Sequence[Policy], int, Call, int], Outcome]

_IDLE = 10.0
"""Seconds a worker waits for its next call before it ends."""


class CallAbandoned(BaseException):
    """Unwinds a worker whose caller has left: no further attempt, permits given back. Never reaches a caller."""


def check_caller(call: Call) -> None:
    """Raise CallAbandoned where *call* runs in a thread that its caller has left: nothing more of it is begun."""
    if call.cancel_token is not None and call.cancel_token.cancelled:
        raise CallAbandoned


def abandoned() -> int:
    """Return how many calls of this process still run in a thread although their callers have left."""
    return len(_abandoned)


def in_worker() -> bool:
    """Whether this thread is a worker."""
    return getattr(_here, "works", False)


class CancelToken:
    """The state of one call in a worker thread: whether it is *cancelled*, as its caller has left, or *finished*.

    The worker calls `begin` and `end`, the caller `cancel`. The tokens of inner limits are cancelled with an outer one.
    A caller that comes late or a worker that ends meanwhile changes nothing: all of it happens under one lock.

    A thread that sleeps inside the limit waits on it by `wait`. Most calls never do, and a `threading.Event` costs as
    much as handing a call to a worker, so the first wait makes it.
    """

    __slots__ = ("_event", "_inner", "_outer", "_running", "cancelled", "done", "finished")

    def __init__(self, outer: Abandoned | None) -> None:
        self.cancelled: bool = False
        #: Whether the call has come back, or never will: then `done` is set.
        self.finished: bool = False
        self.done: OneShotEvent = OneShotEvent()
        self._running = False
        self._event: threading.Event | None = None
        self._inner: set[CancelToken] = set()
        self._outer: CancelToken | None = None
        if isinstance(outer, CancelToken):
            self._outer = outer
            with _leaving:
                outer._inner.add(self)
                self.cancelled = outer.cancelled

    def begin(self) -> bool:
        """Note, in the worker, that the call begins; return whether its caller still waits for it."""
        with _leaving:
            self._running = not self.cancelled
            return self._running

    def end(self) -> None:
        """Note, in the worker, that the call has come back."""
        with _leaving:
            self.finished = True
            _abandoned.discard(self)
            if self._outer is not None:
                self._outer._inner.discard(self)

    def cancel(self) -> None:
        """Note that the caller has left, and wake what waits inside the limit: sleeps, and workers of inner limits."""
        with _leaving:
            self.cancelled = True
            if self._running and not self.finished:
                _abandoned.add(self)
            event, inner = self._event, [*self._inner]
        if event is not None:
            event.set()
        for other in inner:
            other.cancel()
            other.done.set()  # a worker that waits for another one is free

    def wait(self, timeout: float, /) -> bool:
        """Wait, at most *timeout* seconds; return whether the caller has left."""
        with _leaving:
            if self.cancelled:
                return True
            event = self._event = self._event or threading.Event()
        return event.wait(timeout)


# Re-entrant: a signal's handler, which may make limited calls as well, may run at any instruction.
_leaving = threading.RLock()
_abandoned = ABANDONED_THREADS.running
_here = threading.local()


def run_in_worker(drive: Drive, stack: Sequence[Policy], depth: int, limit: float, call: Call) -> Outcome:
    """Drive *call* through *stack* from *depth* inwards in a worker thread, with the caller's context variables.

    TIMED_OUT after *limit* seconds. The thread runs on then until the user's function comes back; whatever would follow
    is not begun. With `ABANDONED_THREADS.limit` such threads the outcome is a `TooManyAbandonedError`, at once. Raises
    what is raised in the worker, and CallAbandoned where the caller of this very thread has left it.
    """
    check_caller(call)
    if (running := len(_abandoned)) >= ABANDONED_THREADS.limit:
        if has_listeners():
            from resilience.events import ThreadsExhausted

            emit(ThreadsExhausted(target=call.target, policy="timeout", running=running))
        return Outcome(None, TooManyAbandonedError(call.target, running))
    token = CancelToken(call.cancel_token)
    work = _WorkItem(drive, stack, depth, call.fork(depth, token), token)
    try:
        if not call.clock.run_and_wait(work.begin, token.done, limit):
            return TIMED_OUT
        if not token.finished:  # not the call has come back: the caller of this thread's own has left
            raise CallAbandoned
        return work.result()
    finally:
        if not token.finished:
            token.cancel()  # on Ctrl-C in the caller too


class OneShotEvent:
    """An event that is set once: a bare lock, taken from the beginning, a tenth of what `threading.Event` costs."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let all threads through that wait, now or later."""
        _release(self._lock)

    def wait(self, timeout: float) -> bool:
        """Wait, at most *timeout* seconds; return whether it was set."""
        if not self._lock.acquire(timeout=min(timeout, threading.TIMEOUT_MAX)):
            return False
        _release(self._lock)
        return True


def _release(lock: threading.Lock) -> None:
    """Release *lock*, unless another thread was quicker."""
    try:
        lock.release()
    except RuntimeError:  # set twice: by the call that came back, and by the caller's caller who left
        pass


class _WorkItem:
    """One call for a worker: the context it runs in, and its outcome, or what was raised in place of one."""

    __slots__ = ("_context", "_depth", "_drive", "_outcome", "_raised", "_stack", "call", "token")

    def __init__(self, drive: Drive, stack: Sequence[Policy], depth: int, call: Call, token: CancelToken) -> None:
        self._drive = drive
        self._stack = stack
        self._depth = depth
        self._context = copied_context()
        self._outcome = TIMED_OUT
        self._raised: BaseException | None = None
        self.call = call
        self.token = token

    def begin(self) -> None:
        """Hand this to a worker that has nothing to do, or to a new one."""
        try:
            worker = _idle.pop()  # the last to become idle: the others may end
        except IndexError:
            try:
                worker = _WorkerThread()
            except RuntimeError as error:  # no thread to be had: a failed call like others, for the policies outside
                self._outcome = Outcome(None, error)
                self.token.end()
                self.token.done.set()
                return
        worker.take(self)

    def run(self) -> None:
        """Make the call, in the worker, unless its caller has left already."""
        if self.token.begin():
            try:
                self._outcome = self._context.run(self._drive, self._stack, self._depth, self.call, self._depth)
            except BaseException as raised:  # handed to the caller, whose thread it belongs in
                self._raised = raised
        self.token.end()

    def result(self) -> Outcome:
        """Return the outcome, in the caller's thread, or raise what was raised in the worker."""
        copy_back(self._context)
        if self._raised is None:
            outcome, self._outcome = self._outcome, TIMED_OUT  # see `drive`: no way back to the error
            return outcome
        try:
            raise self._raised
        finally:
            self._raised = None


class _WorkerThread:
    """A thread that does one piece of work after the other, and ends when none has come for `_IDLE` seconds.

    It takes itself out of the idle ones before it ends. Where a caller has taken it a moment earlier, its work
    follows, and the thread goes on. It keeps nothing of a call once that is over.
    """

    def __init__(self) -> None:
        self._ready = threading.Lock()
        self._ready.acquire()
        self._work: _WorkItem | None = None
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def take(self, work: _WorkItem) -> None:
        """Have the thread, which is idle, make the call of *work*."""
        self._work = work
        self._ready.release()

    def _live(self) -> None:
        """Make one call after the other. The thread is idle again before the caller of the last one goes on."""
        _here.works = True
        while self._called():
            work, self._work = self._work, None
            if work is None:
                continue
            self._thread.name = f"resilience {work.call.target}"
            work.run()
            done = work.token.done
            del work  # what the call was made of must not outlive it in an idle thread
            self._thread.name = "resilience idle"
            # Idle before the caller hears of it: its next call finds this thread, and starts no other.
            _idle.append(self)
            done.set()

    def _called(self) -> bool:
        """Wait for work; return whether any came before the thread has been idle for too long."""
        if self._ready.acquire(timeout=_IDLE):
            return True
        try:
            _idle.remove(self)
        except ValueError:  # taken a moment ago: its work follows
            return self._ready.acquire()
        return False


# A deque: appended to and taken from by many threads without a lock.
_idle: deque[_WorkerThread] = deque()


def _forget_workers() -> None:
    """Begin anew in a forked process, which has none of its parent's threads."""
    global _leaving
    _leaving = threading.RLock()  # another thread may have held it
    _idle.clear()
    _abandoned.clear()


call_in_forked_child(_forget_workers)
