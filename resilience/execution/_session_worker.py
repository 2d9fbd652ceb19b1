"""Worker of a session: the same one for each execution, as long as it lives.

A session's state is its process. Whatever ends the process ends the state, and nothing can restore it but to execute
the programs again. So the worker is handed out without asking whether it lives: a job finds out by itself, and reports
what the next caller has to know.
"""

from __future__ import annotations

import os
import threading

from resilience.execution._worker.messages import Policy
from resilience.execution._worker_pool import WarmPool
from resilience.execution._worker_process import WorkerProcess

__all__ = ["SessionWorker"]


class SessionWorker:
    """Hands out one worker of *pool* again and again. It has a pool's methods for jobs, and takes its place there.

    A worker that has ended, or was killed, goes back to the pool to be reaped. Then the next job gets another one, and
    `starts` is one more. The state of the programs is lost with the worker.

    The pool still owns the process, and ends it with itself. After a fork the child has no worker here: that of its
    parent is neither asked nor killed.
    """

    def __init__(self, pool: WarmPool) -> None:
        self._pool = pool
        self._worker: WorkerProcess | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()
        self.starts: int = 0
        """Number of workers so far."""

    def acquire(self) -> WorkerProcess | None:
        """Return the session's worker, or an idle one of the pool that becomes it; None if there is none."""
        with self._lock:
            if self._worker is not None and self._process == os.getpid():  # a fork must not touch its parent's worker
                self._worker.expect_next_program()
                return self._worker
            return self._keep(self._pool.acquire())

    def start_worker(self) -> WorkerProcess:
        """Start a worker that becomes the session's. Raises what `WarmPool.start_worker` raises."""
        worker = self._pool.start_worker()
        with self._lock:
            self._keep(worker)
        return worker

    def _keep(self, worker: WorkerProcess | None) -> WorkerProcess | None:
        if worker is not None:
            self._worker = worker
            self._process = os.getpid()
            self.starts += 1
        return worker

    def release(self, worker: WorkerProcess, policy: Policy | None = None) -> None:
        """Keep *worker* for the next execution; reap it if it has ended."""
        if not worker.is_killed and worker.is_alive():
            return
        with self._lock:
            if self._worker is worker:
                self._worker = None
        self._pool.release(worker, policy)

    def replenish(self, policy: Policy | None = None) -> None:
        """Have the pool replace the worker that this session has taken."""
        self._pool.replenish(policy)

    @property
    def is_alive(self) -> bool:
        """Whether there is a worker that has the state of earlier executions."""
        return self._worker is not None

    def close(self) -> None:
        """Kill the worker and schedule that it is reaped."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None and self._process == os.getpid():
            worker.kill()
            self._pool.release(worker)
