"""Worker threads for what its caller may have to leave: a sync call under a time limit, a request to a shared store.

Workers are daemons, so that a call that never returns cannot keep the process from ending, and they are used again:
starting one for each call costs more than most calls do. There is no queue: a call that finds none idle starts one, so
that waiting for a thread is never taken for a slow call. A subinterpreter must not end while daemons run, and most
allow none: its workers end with their call, and it ends when they have.

No thread can be started while the interpreter ends, and a running one does nothing more: `begin_work` then makes the
call in the caller's own thread, without a limit.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import threading
from collections import deque
from typing import Protocol

from resilience._forks import call_in_forked_child

__all__ = ["OneShotEvent", "Work", "begin_work", "in_worker"]

_IDLE = 10.0
"""Seconds a worker waits for its next call before it ends."""


class Work(Protocol):
    """One call for a worker."""

    @property
    def target(self) -> str:
        """The qualified name of the function called; the thread has it in its name meanwhile."""
        ...

    @property
    def done(self) -> OneShotEvent:
        """Is set when the call is over."""
        ...

    def run(self) -> None:
        """Make the call. Raises nothing."""
        ...


def begin_work(work: Work) -> None:
    """Hand *work* to a worker that is idle, or to a new one.

    Raises RuntimeError or MemoryError where the system starts no thread.
    """
    if sys.is_finalizing():
        _run_here(work)
        return
    try:
        while not _idle.pop().take(work):  # the last to become idle: the others may end
            pass
    except IndexError:
        _start_worker(work)


def _start_worker(work: Work) -> None:
    try:
        _WorkerThread(work)
    except RuntimeError as error:
        if "shutdown" not in str(error):  # the words of CPython, from 3.12 on before it finalizes, as in `atexit`
            raise
        _run_here(work)


def in_worker() -> bool:
    """Whether this thread is a worker."""
    return getattr(_here, "works", False)


def _run_here(work: Work) -> None:
    work.run()
    work.done.set()


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


class _WorkerThread:
    """A thread that does one piece of work after the other, and ends when none has come for `_IDLE` seconds.

    It keeps nothing of a call once that is over. A caller that has taken it from the idle ones may be interrupted by a
    signal before it can hand over its work, so a worker ends whether it is among them or not. A caller that was only
    slow finds that out in `take`, and looks for another worker.
    """

    def __init__(self, work: Work) -> None:
        #: Free while there is work that the thread has not begun.
        self._ready = threading.Lock()
        self._work: Work | None = work
        self._ended = False
        self._thread = threading.Thread(target=self._live, daemon=_may_leave_threads())
        self._thread.start()

    def take(self, work: Work) -> bool:
        """Have the thread, which is idle, do *work*; return whether it does: it may have ended meanwhile."""
        self._work = work
        self._ready.release()
        # Whichever of the two gets the lock decides: the thread sets the flag before it looks for work a last time.
        return not (self._ended and self._ready.acquire(blocking=False))

    def _live(self) -> None:
        """Make one call after the other. The thread is idle again before the caller of the last one goes on."""
        _here.works = True
        while (work := self._next()) is not None:
            self._thread.name = f"resilience {work.target}"
            done = work.done
            try:
                work.run()
                del work  # what the call was made of must not outlive it in an idle thread
                self._thread.name = "resilience idle"
                self._ended = not self._thread.daemon
                if not self._ended:
                    # Idle before the caller hears of it: its next call finds this thread, and starts no other.
                    _idle.append(self)
            finally:
                done.set()

    def _next(self) -> Work | None:
        """Wait for work, and return it; None where the thread ends, as none has come for too long."""
        if self._ended or not self._ready.acquire(timeout=_IDLE):
            self._ended = True
            with contextlib.suppress(ValueError):  # taken a moment ago: work may follow
                _idle.remove(self)
            if not self._ready.acquire(blocking=False):
                return None
        work, self._work = self._work, None
        return work


@functools.cache
def _may_leave_threads() -> bool:
    """Return whether this interpreter may end while its threads run: the main one, and not a subinterpreter."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # from Python 3.13 on, and before
        with contextlib.suppress(ImportError, AttributeError):
            interpreters = importlib.import_module(name)
            return bool(interpreters.get_current() == interpreters.get_main())
    return True


_here = threading.local()

# A deque: appended to and taken from by many threads without a lock.
_idle: deque[_WorkerThread] = deque()

call_in_forked_child(_idle.clear)
