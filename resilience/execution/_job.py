"""Job: one execution from its request to its report.

A job checks the policy, acquires a worker, opens a session with it and turns the session's exit into an
`ExecutionReport`. A warm worker that died before it took the request is replaced by a fresh one, once.

A source that a quick scan proves harmless starts as soon as it arrives. Any other one is sent before it is analysed:
the worker compiles it meanwhile, and waits for the start message, which it does not get if the policy forbids the
program.

A request is executed at most once. Only where the recorder shows that the worker has not begun is another one tried:
a program that has begun may have acted on the world.
"""

from __future__ import annotations

import functools
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resilience.contrib.executor import ContainerConfigurationError, ContainerConnectivityError
from resilience.execution._analysis import analyse, is_clear
from resilience.execution._event_emitter import EventEmitter
from resilience.execution._inputs import EncodedVariables, write_files
from resilience.execution._outcome import Crash, ReportBuilder
from resilience.execution._result_decoder import InvalidResultError, WorkerResult
from resilience.execution._session import Exit, Session
from resilience.execution._session_worker import SessionWorker
from resilience.execution._terms import terms_of
from resilience.execution._worker.messages import Request
from resilience.execution._worker.recorder import Recording
from resilience.execution._worker.statements import session_filename
from resilience.execution._worker.written_files import list_files
from resilience.execution._worker_pool import WarmPool
from resilience.execution._worker_process import WorkerProcess, new_execution_id
from resilience.execution.executor import ExecutionReport
from resilience.execution.request import ExecutionRequest
from resilience.report.failure import Violation

if TYPE_CHECKING:
    from resilience.execution._worker.written_files import Snapshot

__all__ = ["Job"]

_WRITING = ("write", "all")
"""Values of a policy's *files* under which a program may write."""
_EXIT_TIMEOUT = 5.0
_MAX_STDERR = 500
_MAX_INLINE_CODE = 100_000
"""Characters that are analysed and sent fast enough for an event loop's thread."""


class Job:
    """One execution. `run` blocks until its end.

    An event loop calls `start`, then `poll` whenever the returned socket is readable, and `report_if_succeeded`.
    Anything but a quick success is left to `run`, in a thread. *number* is that of an execution of a session, whose
    worker stays alive.

    A job owns the worker between acquiring and releasing it, and releases it on every way out, also when the caller is
    cancelled or a listener raises. It serves one caller, in one thread at a time.
    """

    def __init__(
        self, request: ExecutionRequest, pool: WarmPool | SessionWorker, assigned_by: str = "ray", number: int = 0
    ) -> None:
        self._request = request
        self._pool = pool
        self._assigned_by = request.assigned_by or assigned_by
        self._session: Session | None = None
        self._files_before: Snapshot | None = {}
        self._number = number
        self.has_run: bool = False
        """Whether the program was started."""
        self.names: Sequence[str] | None = None
        """Names that the session has defined; None if its worker has ended."""
        self._code = request.code.removeprefix("\ufeff")  # byte order mark, which Python strips from files only
        self._terms = terms_of(request)
        self._policy = self._terms.policy
        self._policy_message = self._terms.message

    def start(self) -> socket.socket | None:
        """Send the program to a warm worker without blocking; return the socket that its messages arrive at.

        Return None, and send nothing, if no worker is idle, the source is long, or it needs analysis first.
        """
        if len(self._code) > _MAX_INLINE_CODE or self._request.variables or self._request.files or not self._is_clear:
            return None
        worker = self._pool.acquire()
        if worker is None:
            return None
        try:
            self._session = self._open_session(worker, None)
        except BaseException:
            self._pool.release(worker, self._policy_message)
            raise
        return worker.control

    def poll(self) -> bool:
        """Handle the messages of a started session; return whether it has ended."""
        return self._session is not None and self._session.poll() is not None

    def report_if_succeeded(self) -> ExecutionReport | None:
        """Return the report of a started session that has succeeded by now; None in every other case."""
        ended = None if self._session is None else self._session.poll()
        result = None if ended is None else ended.result
        if result is None or result.get("exception") is not None or result.get("exit_code") != 0:
            return None
        if self._may_write_files and self._session is not None and self._has_files(self._session.worker):
            return None  # reading them may take long
        return self.run()

    def abort(self) -> None:
        """Kill the worker of a started session that `run` has not taken over."""
        if self._session is not None:
            self._session.worker.kill()
            self._pool.release(self._session.worker, self._policy_message)

    def run(self, emit: EventEmitter | None = None, cancelled: int | None = None) -> ExecutionReport | None:
        """Execute the program, or continue a started session; None if *cancelled* became readable.

        Raises `ContainerConfigurationError` and `ContainerConnectivityError` if no worker can be started.
        """
        if self._number and self._violations:  # the worker must not be left with a program that it cannot start
            return self._refusal()
        not_ready: Exception | None = None
        for may_be_warm in (True, False):
            session, self._session = self._session, None
            worker = self._acquire_worker(may_be_warm=may_be_warm) if session is None else session.worker
            if worker is None:
                break
            try:
                session = session or self._open_session(worker, emit)
                if self._violations:  # analysed while the worker compiles the program
                    break
                ended = session.wait(self._replenish, cancelled)
                if ended.kind == "cancelled":
                    return None
                _raise_for_unusable(worker, ended)
                if ended.kind == "result" or Recording(worker.read_recorder()).begun:
                    self.has_run = True
                    return self._report(worker, session, ended, emit)
                # The worker has not taken the request. A warm one may have died while idle: a fresh one tells.
                not_ready = _not_ready_error(worker, session, ended)
            finally:
                self._pool.release(worker, self._policy_message)
        if not_ready is not None:
            raise not_ready
        return self._refusal()

    def _acquire_worker(self, *, may_be_warm: bool) -> WorkerProcess | None:
        """Return an idle worker, or a new one; None if the program needs none because its policy forbids it."""
        worker = None
        if may_be_warm:
            worker = self._pool.acquire()
        if worker is None and not self._violations:
            worker = self._pool.start_worker()
        return worker

    @functools.cached_property
    def _is_clear(self) -> bool:
        return is_clear(self._code, self._policy)

    @property
    def _may_write_files(self) -> bool:
        return self._policy.files in _WRITING

    def _has_files(self, worker: WorkerProcess) -> bool:
        """Return whether the program may have left files, without looking at them."""
        if self._request.working_directory is not None:
            return True
        with os.scandir(worker.directory) as entries:
            return any(entries)

    def _directory_of(self, worker: WorkerProcess) -> str:
        return os.fspath(self._request.working_directory or worker.directory)

    @functools.cached_property
    def _variables(self) -> EncodedVariables:
        return EncodedVariables.of(self._request.variables)

    @functools.cached_property
    def _violations(self) -> Sequence[Violation]:
        """Violations that the source shows. Asked for late: a long source takes milliseconds to analyse."""
        return () if self._is_clear else analyse(self._code, self._policy)

    def _replenish(self) -> None:
        self._pool.replenish(self._policy_message)

    def _open_session(self, worker: WorkerProcess, emit: EventEmitter | None) -> Session:
        """Write the files of the request, note those that are there, and send the program."""
        worker.may_start_processes = self._policy.processes
        directory = self._directory_of(worker)
        write_files(self._request.files, directory)
        if self._may_write_files and (self._number or self._request.files or directory != worker.directory):
            self._files_before = list_files(directory)
        message = self._request_message(worker)
        return Session(worker, message, emit, self._variables.pickled if self._request.variables else b"")

    def _request_message(self, worker: WorkerProcess) -> Request:
        """Return the message of the request, without what *worker* knows already: a policy has hundreds of names."""
        request = self._request
        message: Request = {
            "kind": "run",
            "code": self._code,
            "timeout": request.seconds,
            "memory": self._terms.memory_bytes if request.memory_limit == "auto" else request.memory_bytes,
            "checked": self._is_clear,
        }
        if worker.prepared_for != self._policy_message:
            worker.prepared_for = message["policy"] = self._policy_message
        if request.working_directory is not None:
            directory = str(Path(request.working_directory).absolute())
            if worker.program_directory != directory:
                worker.program_directory = message["directory"] = directory
        if self._number:
            message["session"] = self._number
        if request.return_variables is not None:
            message["variables"] = list(request.return_variables)
        if request.trace:
            message["trace"] = True
        if request.variables:
            message["given"] = self._variables.plain
            message["pickled"] = len(self._variables.pickled)
        return message

    def _report(
        self, worker: WorkerProcess, session: Session, ended: Exit, emit: EventEmitter | None
    ) -> ExecutionReport:
        """Return the report of a program that has run: by its result, or by the exit of its worker."""
        if emit is not None:
            for name, output in (("stdout", session.stdout), ("stderr", session.stderr)):
                if output.is_cut:
                    emit("warning", f"{name} was too long: its middle is left out of the report")
        if self._may_write_files:
            session.collector.add_files(self._directory_of(worker), self._files_before)
        builder = self._report_builder(worker.execution_id)
        builder.recorder = worker.read_recorder
        builder.python, builder.threads = worker.python_version, worker.threads
        builder.stdout, builder.stderr = session.stdout.text(), session.stderr.text()
        builder.artifacts, builder.notes = session.collector.artifacts, session.collector.notes
        protocol_error = ended.protocol_error
        if ended.result is not None:
            try:
                result = WorkerResult.of(ended.result)
                self.names = result.names
                return builder.from_result(result)
            except InvalidResultError as error:
                protocol_error = str(error)
                worker.kill()  # it would be waited for below, perhaps by an event loop
        worker.wait(_EXIT_TIMEOUT)
        return builder.from_crash(
            Crash(
                timed_out=ended.kind == "timed_out",
                protocol_error=protocol_error,
                exit_status=worker.exit_status,
                peak_memory=worker.peak_memory,
                seconds=ended.seconds,
            )
        )

    def _refusal(self) -> ExecutionReport:
        """Return the report of a program that was not run, because its source violates the policy."""
        return self._report_builder(new_execution_id()).from_violations(self._violations)

    def _report_builder(self, execution_id: str) -> ReportBuilder:
        return ReportBuilder(
            execution_id=execution_id,
            request=self._request,
            code=self._code,
            policy=self._policy,
            assigned_by=self._assigned_by,
            filename=session_filename(self._number),
            memory_is_limited=sys.platform == "linux",
        )


def _raise_for_unusable(worker: WorkerProcess, ended: Exit) -> None:
    """Raise the error of a worker that lacks a module which the executor or the request needs there."""
    if ended.kind == "no_variables":
        raise ContainerConfigurationError(
            f"variables: a worker cannot restore them: {ended.protocol_error}", {"python": worker.python}
        )
    if worker.preload_failure:
        raise ContainerConfigurationError(
            f"preload: a worker cannot import {worker.preload_failure}", {"python": worker.python}
        )


def _not_ready_error(
    worker: WorkerProcess, session: Session, ended: Exit
) -> ContainerConfigurationError | ContainerConnectivityError:
    """Return the error of a worker that never took the request."""
    worker.wait(_EXIT_TIMEOUT)
    status = worker.exit_status
    name = f"python={worker.python!r}"
    details = {"python": worker.python, "status": status, "stderr": session.stderr.text()[-_MAX_STDERR:]}
    if ended.kind == "protocol_error":
        return ContainerConfigurationError(
            f"{name} does not speak the protocol of a worker ({ended.protocol_error});"
            " give the path of a Python 3.11 or later",
            details,
        )
    if ended.kind == "not_ready":
        return ContainerConnectivityError(f"{name} did not become ready in time", "localhost", 0, details)
    if status is not None and status < 0:
        problem = f"{name} was killed by signal {-status} before it was ready"
        return ContainerConnectivityError(problem, "localhost", 0, details)
    return ContainerConfigurationError(
        f"{name} exited with status {status} before it took any code; give the path of a Python 3.11 or later", details
    )
