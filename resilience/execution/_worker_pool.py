"""Processes that wait for code: starting one takes longer than most code does.

What need not be waited for, a thread of the pool's own does: burying the dead, starting the next, hearing it say hello.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable

from resilience._callback_errors import log_callback_error
from resilience.contrib.executor import PythonExecutorException
from resilience.execution._worker.messages import Policy
from resilience.execution._worker_process import Child, readable
from resilience.execution.security import SecurityPolicy

__all__ = ["Spares"]

_HELLO = 0.2
_IDLE = 10.0
"""Seconds after which the thread ends that has nothing to do."""


class Spares:
    """Up to *number* idle children of one interpreter, for any number of threads.

    A fork of this process forgets them: they are its parent's.
    """

    def __init__(self, python: str, number: int) -> None:
        self._python = python
        self._number = number
        self._policy: Policy = SecurityPolicy.of("strict").to_dict()
        self._renew()
        _pools.add(self)

    def _renew(self) -> None:
        self._idle: deque[Child] = deque()
        self._all: set[Child] = set()
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._quiet = threading.Condition(self._lock)
        self._busy = 0
        self._starting = 0
        self.is_closed: bool = False

    def take(self) -> Child | None:
        """Return a child that waits for a request, None where there is none. It may have died while it waited."""
        with self._lock:
            return self._idle.popleft() if self._idle else None

    def start(self) -> Child:
        """Return a new child.

        Raises `ContainerConfigurationError` and `ContainerConnectivityError` where none can be started.
        """
        child = Child(self._python)
        with self._lock:
            self._all.add(child)
        return child

    def give_back(self, child: Child, policy: Policy | None = None) -> None:
        """Have a child buried, and another one started if one is missing, some time soon."""
        self._do(lambda: self._replace(child, policy))

    def refill(self, policy: Policy | None = None) -> None:
        """Have spares started, as many as are missing, some time soon. They will get ready for *policy*."""
        with self._lock:
            self._policy = policy or self._policy
            missing = self._number - len(self._idle) - self._starting
            if self.is_closed or missing <= 0:
                return
            self._starting += missing
        for _ in range(missing):
            self._do(self._add)

    def fill(self, seconds: float = 30.0) -> bool:
        """Wait until the spares have started and imported what they need; return whether they have."""
        self.refill()
        with self._quiet:
            self._quiet.wait_for(lambda: not self._busy, seconds)
            idle = list(self._idle)
        ready = all(child.greeted or readable(child.control.fileno(), seconds) for child in idle)
        return ready and len(idle) == self._number

    def close(self) -> None:
        """Bury all children, and wait until that is done."""
        with self._lock:
            self.is_closed = True
            idle = list(self._idle)
            self._idle.clear()
        for child in idle:
            child.kill()
            self.give_back(child)
        with self._quiet:
            self._quiet.wait_for(lambda: not self._busy)

    def forget(self) -> None:
        """Let go of the children without ending them: this process is a fork of the one they belong to."""
        for child in self._all:
            with contextlib.suppress(OSError):
                child.forget()
        closed = self.is_closed
        self._renew()
        self.is_closed = closed

    def _add(self) -> None:
        child = None
        try:
            if not self.is_closed:
                child = self.start()
                child.prepare(self._policy)
        finally:
            with self._lock:
                self._starting -= 1
                usable = child is not None and not self.is_closed
                if child is not None and usable:
                    self._idle.append(child)
        if child is not None and usable:
            self._do(lambda: self._greet(child))
        elif child is not None:  # closed meanwhile
            self._bury(child)

    def _greet(self, child: Child) -> None:
        """Take a hello, so that nobody need do that who is in a hurry."""
        readable(child.control.fileno(), _HELLO)  # nobody closes it but this thread
        with self._lock:
            if child in self._idle:  # or it has been taken, and is listened to elsewhere
                child.greet()

    def _replace(self, child: Child, policy: Policy | None) -> None:
        try:
            self._bury(child)
        finally:
            self.refill(policy)

    def _bury(self, child: Child) -> None:
        try:
            child.bury()
        finally:
            with self._lock:
                self._all.discard(child)

    def _do(self, job: Callable[[], object]) -> None:
        with self._lock:
            self._busy += 1
            self._jobs.put(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="resilience spares", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE)
            except queue.Empty:
                with self._lock:
                    if self._jobs.empty():
                        self._thread = None
                        return
                continue
            try:
                job()
            except PythonExecutorException:
                pass  # whoever needs a child next tries for himself, and is told
            except Exception as error:
                log_callback_error("spares", job, error)
            with self._quiet:
                self._busy -= 1
                self._quiet.notify_all()


_pools: weakref.WeakSet[Spares] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for pool in list(_pools):
        pool.close()


def _forget_all() -> None:
    for pool in list(_pools):
        pool.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
