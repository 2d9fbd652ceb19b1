"""Pool of warm worker processes.

Starting an interpreter takes longer than most programs run, so an executor keeps a few workers idle. The pool owns
every worker from its start until it is reaped. Whatever can wait (starting a worker, reading its ready message, reaping
it) runs on one background thread, so that the caller's thread never waits for it.

A start costs tens of milliseconds of a processor, so none begins while a quick program runs: the pool is replenished
when a worker comes back, or when its program takes longer than some milliseconds.

The lock is held for a few assignments and never while the system starts, kills or waits for a process. The thread ends
after some idle seconds, and is a daemon: a pool that its owner forgets keeps no program from ending, and `atexit`
closes it.
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
from resilience.clock import SYSTEM
from resilience.contrib.executor import PythonExecutorException
from resilience.execution._worker.messages import Policy
from resilience.execution._worker_process import Interpreter, WorkerProcess, wait_readable
from resilience.execution.security import SecurityPolicy

__all__ = ["WarmPool"]

_READY_TIMEOUT = 30.0
"""Seconds after which the background thread no longer looks for a ready message. A later one is read by the session."""
_READY_SLICE = 0.1
"""Seconds that it waits for one at a stretch: other jobs wait as long."""
_THREAD_IDLE_TIMEOUT = 10.0
"""Seconds without a job after which the background thread ends."""


class WarmPool:
    """Keeps up to *size* idle workers of one *interpreter*, for any number of threads.

    A worker serves one request, or the requests of one session. `acquire` hands an idle one out, `release` takes it
    back to be reaped and replaced. After a fork the child process detaches from the workers, which belong to its
    parent, and starts its own.

    New workers are prepared for the policy of the last request. One that was prepared for another policy is used all
    the same: it sets the guard up anew, which takes it some hundred microseconds.

    >>> import sys
    >>> pool = WarmPool(Interpreter(sys.executable), size=1)
    >>> pool.wait_until_warm()
    True
    >>> worker = pool.acquire()
    >>> pool.release(worker)
    >>> pool.close()
    """

    def __init__(self, interpreter: Interpreter, size: int) -> None:
        self._interpreter = interpreter
        self._size = size
        self._policy: Policy = SecurityPolicy.of("strict").to_dict()
        self._reset()
        _pools.add(self)

    def _reset(self) -> None:
        self._idle: deque[WorkerProcess] = deque()
        self._workers: set[WorkerProcess] = set()
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._job_done = threading.Condition(self._lock)
        self._unfinished = 0
        self._starting = 0
        self.is_closed: bool = False

    def acquire(self) -> WorkerProcess | None:
        """Return an idle worker, None if there is none. It may have died since it was started."""
        with self._lock:
            return self._idle.popleft() if self._idle else None

    def start_worker(self) -> WorkerProcess:
        """Start a worker and return it without waiting for its ready message.

        Raises `ContainerConfigurationError` if the interpreter cannot be executed, and `ContainerConnectivityError` if
        the system has no memory, processes or file descriptors left.
        """
        worker = WorkerProcess(self._interpreter)
        with self._lock:
            self._workers.add(worker)
        return worker

    def release(self, worker: WorkerProcess, policy: Policy | None = None) -> None:
        """Schedule that *worker* is reaped and the pool replenished with workers prepared for *policy*."""
        self._submit(lambda: self._replace(worker, policy))

    def replenish(self, policy: Policy | None = None) -> None:
        """Schedule the start of all missing workers. They are prepared for *policy*, by default the last one given."""
        with self._lock:
            self._policy = policy or self._policy
            missing = self._size - len(self._idle) - self._starting
            if self.is_closed or missing <= 0:
                return
            self._starting += missing
        for _ in range(missing):
            self._submit(self._add_worker)

    def wait_until_warm(self, timeout: float = 30.0) -> bool:
        """Start missing workers and wait until all of them are ready; return whether they are."""
        until = SYSTEM.now() + timeout
        self.replenish()
        with self._job_done:
            self._job_done.wait_for(lambda: not self._unfinished, timeout)
            idle = list(self._idle)
        left = max(until - SYSTEM.now(), 0.0)
        ready = all(worker.is_ready or wait_readable(worker.control.fileno(), left) for worker in idle)
        return ready and len(idle) == self._size

    def close(self) -> None:
        """Kill and reap all workers, and wait until that is done."""
        with self._lock:
            self.is_closed = True
            idle = list(self._idle)
            self._idle.clear()
        for worker in idle:
            worker.kill()
            self.release(worker)
        with self._job_done:
            self._job_done.wait_for(lambda: not self._unfinished)

    def detach(self) -> None:
        """Close this process's ends of all workers without killing them: a fork must not touch its parent's workers."""
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.detach()
        is_closed = self.is_closed
        self._reset()
        self.is_closed = is_closed

    # -- jobs of the background thread -----------------------------------------------------------------------------

    def _add_worker(self) -> None:
        """Start a worker and add it to the idle ones before it is ready: a session can be opened with it already."""
        worker = None
        is_usable = False
        try:
            if not self.is_closed:
                worker = self.start_worker()
                worker.prepare(self._policy)
        finally:
            with self._lock:
                self._starting -= 1
                if worker is not None and not self.is_closed:
                    self._idle.append(worker)
                    is_usable = True
        if worker is None:
            return
        if is_usable:
            until = SYSTEM.now() + _READY_TIMEOUT
            self._submit(lambda: self._read_ready(worker, until))
        else:  # the pool was closed while the worker started
            self._reap(worker)

    def _read_ready(self, worker: WorkerProcess, until: float) -> None:
        """Read the ready message of an idle worker in advance, so that the next session need not."""
        has_come = wait_readable(worker.control.fileno(), _READY_SLICE)  # only this thread closes the socket
        with self._lock:
            is_idle = worker in self._idle  # an acquired worker is read by its session
            if is_idle and has_come:
                worker.read_ready()
        if is_idle and not has_come and SYSTEM.now() < until:  # it imports modules, which may take seconds
            self._submit(lambda: self._read_ready(worker, until))

    def _replace(self, worker: WorkerProcess, policy: Policy | None) -> None:
        """Reap *worker*, and start another one even if that fails."""
        try:
            self._reap(worker)
        finally:
            self.replenish(policy)

    def _reap(self, worker: WorkerProcess) -> None:
        try:
            worker.reap()
        finally:
            with self._lock:
                self._workers.discard(worker)

    def _submit(self, job: Callable[[], object]) -> None:
        """Queue *job*, and start the thread if there is none."""
        with self._lock:
            self._unfinished += 1
            self._jobs.put(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run_jobs, name="resilience worker pool", daemon=True)
                self._thread.start()

    def _run_jobs(self) -> None:
        """Run jobs until none has come for a while. No exception of a job ends the thread."""
        while True:
            try:
                job = self._jobs.get(timeout=_THREAD_IDLE_TIMEOUT)
            except queue.Empty:
                with self._lock:
                    if self._jobs.empty():
                        self._thread = None
                        return
                continue
            try:
                job()
            except PythonExecutorException:
                pass  # the next execution starts a worker itself and raises the error to its caller
            except Exception as error:
                log_callback_error("worker pool", job, error)
            with self._job_done:
                self._unfinished -= 1
                self._job_done.notify_all()


_pools: weakref.WeakSet[WarmPool] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for pool in list(_pools):
        pool.close()


def _detach_all() -> None:
    for pool in list(_pools):
        pool.detach()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_detach_all)
