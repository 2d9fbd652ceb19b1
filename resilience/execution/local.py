"""Executor that runs each program in a worker process on this machine.

An execution is a `Job` on a worker of a `WarmPool`. A quick program is awaited on the event loop; one that takes longer
moves to a thread. Either way the caller gets a report, and no process is left behind.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from resilience._validation import parse_count
from resilience.contrib.executor import ContainerConfigurationError
from resilience.execution._event_emitter import EventEmitter, final_event
from resilience.execution._job import Job
from resilience.execution._options import parse_dotted_names, parse_environment
from resilience.execution._session_worker import SessionWorker
from resilience.execution._worker_pool import WarmPool
from resilience.execution._worker_process import Interpreter
from resilience.execution.executor import ExecutionReport, Listener
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityLevel, SecurityPolicy
from resilience.execution.session import ExecutionSession, SessionDefaults, SessionOutcome

if TYPE_CHECKING:
    from resilience.execution.streaming import EventStream

__all__ = ["SubprocessExecutor"]

_QUICK_WAIT = 0.01
"""Seconds that an event loop waits for a message before it hands the execution to a thread."""


class SubprocessExecutor:
    r"""Executes each program in a process of its own on this machine, within limits.

    *python* is the interpreter, by default the one of this process; a frozen application has none, and must give one:
    else `ContainerConfigurationError`. *spares* is the number of warm workers: processes
    that are started in advance, so that an execution does not wait for the interpreter. They are started by the first
    execution, or by `warm`. Threads and tasks may share an executor. `close` it, best as a context manager: that ends
    its processes and removes their directories.

    *preload* names modules that warm workers import in advance, so that ``import pandas`` costs an execution nothing;
    they need not be allowed to the code. A module that cannot be imported is a `ContainerConfigurationError` of the
    first execution. *environment* holds variables that programs get besides a few harmless ones of this process.
    *assigned_by* appears in the reports of requests that name none: who gave the work.

    >>> with SubprocessExecutor() as executor:
    ...     report = executor.execute_sync("total = sum([1, 2, 3])\nprint('added')\ntotal * 2")
    >>> report.success, report.execution_result.return_value, report.execution_result.stdout
    (True, 12, 'added\n')

    The limits are guard rails for cooperative code, not a security boundary. macOS does not enforce the memory limit.
    Windows is not supported: execution raises `ContainerConfigurationError` there.
    """

    def __init__(
        self,
        *,
        python: str | os.PathLike[str] | None = None,
        spares: int = 1,
        preload: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        assigned_by: str = "ray",
    ) -> None:
        if python is None and getattr(sys, "frozen", False):
            raise ContainerConfigurationError(
                "python=None: the executable of a frozen application is no interpreter, and would start it once more;"
                " give the path of a Python"
            )
        self._python = os.fspath(python or sys.executable)
        interpreter = Interpreter(
            self._python, parse_dotted_names("preload", preload), parse_environment("environment", environment)
        )
        self._pool = WarmPool(interpreter, parse_count("spares", spares, least=0))
        self._assigned_by = assigned_by
        self._sessions: weakref.WeakSet[_SessionProcess] = weakref.WeakSet()

    def execute_sync(
        self,
        request: ExecutionRequest | str,
        *,
        variables: Mapping[str, object] | None = None,
        on_event: Listener | None = None,
    ) -> ExecutionReport:
        """Execute the code of *request* and return the report. A program that fails is a report, not an exception.

        *variables* are there for the code, besides those of the request: ``{"orders": frame, "limit": 5}``. *on_event*
        is called in this thread with each event as it happens.

        Raises TypeError for a variable that cannot be pickled, `ContainerConfigurationError` if the interpreter cannot
        be used, or cannot restore a variable, `ContainerConnectivityError` if the system cannot start a process, and
        RuntimeError after `close`.
        """
        report = self._run(self._job(request, variables), on_event, None)
        assert report is not None, "only a cancelled execution has no report"
        return report

    async def execute(
        self,
        request: ExecutionRequest | str,
        *,
        variables: Mapping[str, object] | None = None,
        on_event: Listener | None = None,
    ) -> ExecutionReport:
        """Do what `execute_sync` does without blocking the event loop, on asyncio or trio.

        Cancelled, it kills the process before it returns. *on_event* is called in this event loop.
        """
        return await self._execute(self._job(request, variables), on_event)

    async def _execute(self, job: Job, on_event: Listener | None) -> ExecutionReport:
        from resilience.execution._waiting import run_in_thread, wait_for_data

        try:
            control = None if on_event is not None else job.start()
            if control is not None:  # most programs end before a thread would have started
                for _ in range(2):  # a ready message or a warning may arrive before the result
                    await wait_for_data(control, _QUICK_WAIT)
                    if job.poll():
                        break
                report = job.report_if_succeeded()
                if report is not None:
                    return report
            return await run_in_thread(lambda listener, cancelled: self._run(job, listener, cancelled), on_event)
        except BaseException:
            job.abort()
            raise

    def stream(self, request: ExecutionRequest | str, *, most: int = 1000) -> EventStream:
        """Execute the code of *request* and return its events as an async iterator.

        The stream buffers up to *most* events for a slow consumer; see `EventStream`.

        >>> import anyio
        >>> async def main() -> list[str]:
        ...     async with SubprocessExecutor() as executor, executor.stream("print('hi')") as events:
        ...         return [event.kind async for event in events]
        >>> list(dict.fromkeys(anyio.run(main)))
        ['start', 'stdout', 'result']
        """
        from resilience.execution.streaming import EventStream

        job = self._job(request)
        return EventStream(lambda listener, cancelled: self._run(job, listener, cancelled), parse_count("most", most))

    def session(
        self,
        *,
        security_level: SecurityPolicy | SecurityLevel | str = SecurityLevel.STRICT,
        allowed_imports: Sequence[str] = (),
        working_directory: str | os.PathLike[str] | None = None,
    ) -> ExecutionSession:
        """Return a session: executions in one process that share their variables.

        Level, imports and directory are those of code that is given as a text; a request has its own, and without a
        directory of its own runs in that of the session.
        """
        defaults = SessionDefaults(security_level, allowed_imports, working_directory)
        process = _SessionProcess(self, SessionWorker(self._pool))
        self._sessions.add(process)
        return ExecutionSession(process, defaults)

    def warm(self) -> None:
        """Start the warm workers and wait, for up to 30 seconds, until they are ready."""
        self._pool.wait_until_warm()

    def close(self) -> None:
        """Kill all workers and wait until they are reaped. Executing after that raises RuntimeError."""
        for process in list(self._sessions):
            process.close()
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from resilience.execution._waiting import finish_in_thread

        await finish_in_thread(self.close)

    def _job(self, request: ExecutionRequest | str, variables: Mapping[str, object] | None = None) -> Job:
        if self._pool.is_closed:
            raise RuntimeError("this executor is closed")
        return Job(ExecutionRequest.of(request, variables), self._pool, self._assigned_by)

    def _session_job(self, request: ExecutionRequest, worker: SessionWorker, number: int) -> Job:
        if self._pool.is_closed:
            raise RuntimeError("this executor is closed")
        return Job(request, worker, self._assigned_by, number)

    def _run(self, job: Job, listener: Listener | None, cancelled: int | None) -> ExecutionReport | None:
        """Execute and emit events; None if *cancelled* became readable."""
        if listener is None:
            return job.run(None, cancelled)
        emit = EventEmitter(listener)
        emit("start")
        report = job.run(emit, cancelled)
        if report is not None:
            emit(*final_event(report))
        return report


class _SessionProcess:
    """The worker process of a session."""

    def __init__(self, executor: SubprocessExecutor, worker: SessionWorker) -> None:
        self._executor = executor
        self._worker = worker

    def execute_sync(self, request: ExecutionRequest, number: int, on_event: Listener | None) -> SessionOutcome:
        """Execute *request* in the process."""
        starts, job = self._worker.starts, self._executor._session_job(request, self._worker, number)
        report = self._executor._run(job, on_event, None)
        assert report is not None, "only a cancelled execution has no report"
        return SessionOutcome(report, job.has_run, self._worker.starts > starts, job.names)

    async def execute(self, request: ExecutionRequest, number: int, on_event: Listener | None) -> SessionOutcome:
        """Execute *request* in the process without blocking the event loop."""
        starts, job = self._worker.starts, self._executor._session_job(request, self._worker, number)
        report = await self._executor._execute(job, on_event)
        return SessionOutcome(report, job.has_run, self._worker.starts > starts, job.names)

    def restart(self) -> None:
        """Kill the process. The next execution begins another one."""
        self._worker.close()

    def close(self) -> None:
        """Kill the process."""
        self._worker.close()
