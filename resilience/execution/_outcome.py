"""Outcome of an execution: from a worker's result, or its crash, to an `ExecutionReport` with a category.

The one place that decides between a syntax error, a runtime error, a violated policy, a time limit and a memory limit.
It knows nothing of processes: sessions and kernels hand it what they have observed.

The decision goes from the certain to the likely. What the worker says of itself comes first: the time limit that has
fired, the violation that the guard has raised, the stage in which an exception came. Then comes what the system says:
a signal, an exit status, the peak of memory. Last come the texts of libraries, which report a lack of memory in many
ways and seldom by a MemoryError; they count only where the limit is enforced and was reached, or can be named.

A process that ends well but sends no valid result is never a success: its report has category INTERNAL.
"""

from __future__ import annotations

import datetime
import functools
import platform
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from resilience.categories import ErrorCategory
from resilience.clock import current_clock
from resilience.errors._json_safe import Json
from resilience.execution._library_memory import needed_memory
from resilience.execution._memory_size import format_size
from resilience.execution._result_decoder import WorkerResult
from resilience.execution._worker.policy_messages import violation_message
from resilience.execution._worker.recorder import Recording
from resilience.execution._worker.statements import FILENAME
from resilience.execution._worker_process import own_peak_memory
from resilience.execution.artifacts import Artifact
from resilience.execution.executor import ExecutionReport, ExecutionResult
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityPolicy
from resilience.report._explain import explain
from resilience.report.captured_exception import Captured
from resilience.report.failure import Failure, Progress, Violation

__all__ = ["Crash", "ReportBuilder"]

# Messages of libraries that run out of address space: most raise no MemoryError, and some abort, or raise SIGINT.
_OUT_OF_MEMORY = re.compile(
    r"memory allocation (?:still )?failed|memory allocation of \d+ bytes failed|std::bad_alloc|_PyErr_NoMemory"
    r"|LLVM ERROR: out of memory|can(?:not|'t) allocate memory(?! in static TLS)"
    r"|failed to map segment(?!.{0,40}(?:not permitted|denied))"
    r"|can't start new thread|pthread_create failed|failed to spawn .{0,60}thread|^MemoryError",
    re.IGNORECASE | re.MULTILINE,
)
_OPENBLAS = re.compile(r"^OpenBLAS.*(?:memory|pthread_create)", re.IGNORECASE | re.MULTILINE)
_STDERR_TAIL = 2000
_CRASH_STATUSES = frozenset(-getattr(signal, name, 0) for name in ("SIGSEGV", "SIGBUS", "SIGABRT")) - {0}
"""Exits of C code that does not check an allocation: likely where the limit is too low for a library of the program."""
_RUST_PANIC = "pyo3_runtime.PanicException"
_REPLACES_MEMORY_ERROR = frozenset({"builtins.ImportError", "builtins.SystemError", _RUST_PANIC})
"""Exceptions that C code raises in the place of a MemoryError."""
_MAY_MEAN_MEMORY = frozenset(
    {"builtins.ImportError", "builtins.OSError", "builtins.RuntimeError", "builtins.SystemError", _RUST_PANIC}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """The exit of a process that sent no valid result."""

    timed_out: bool
    """Whether the parent killed it after the time limit."""
    protocol_error: str
    """Why its result was rejected, empty if it sent none."""
    exit_status: int | None
    """Negative for a signal, None if unknown."""
    peak_memory: int | None
    """Bytes."""
    seconds: float


@dataclass(kw_only=True)
class ReportBuilder:
    """Builds the report of one execution: `from_result`, `from_crash` or `from_violations`.

    Its fields are what was observed from outside: output, recorder, artifacts. Costly parts (the recording, the needs
    of libraries, the explanation of an exception) are made for failures only; a success is some assignments.
    """

    execution_id: str
    request: ExecutionRequest
    code: str
    policy: SecurityPolicy
    assigned_by: str = "ray"
    filename: str = FILENAME
    """File name of the program in the traceback of a crash."""
    recorder: Callable[[], bytes] = bytes
    """Returns the content of the recorder file. Called for failures only."""
    stdout: str = ""
    stderr: str = ""
    python: str = ""
    artifacts: Sequence[Artifact] = ()
    notes: Sequence[str] = ()
    """Notes on artifacts that are missing or not whole."""
    threads: int = 1
    """Threads that the environment of the program gives to linear algebra."""
    memory_is_limited: bool = False
    """Whether the system enforces the memory limit."""

    @functools.cached_property
    def recording(self) -> Recording:
        """Progress of the program."""
        return Recording(self.recorder(), self.filename)

    def from_result(self, outcome: WorkerResult) -> ExecutionReport:
        """Return the report of a program whose worker sent a result."""
        result = self._result(outcome.exit_code, outcome.seconds, outcome.peak, outcome.variables, outcome.value)
        category, error_type, message = self._classify_result(outcome)
        if category is None:
            return self._report(result, notes=outcome.notes or ())
        raised = outcome.exception
        specifics = self._specifics(category, outcome.seconds, outcome.peak)
        line = None
        if category is ErrorCategory.EXECUTION_TIMEOUT and outcome.timed_out_at is not None:
            line = specifics["last_executed_line"] = outcome.timed_out_at
        elif raised is not None:
            line = self._line_of(raised)
        failure = self._failure(
            category,
            error_type,
            message,
            exception=raised,
            violation=outcome.violation if category is ErrorCategory.SECURITY else None,
            line=line,
            specifics=specifics,
            variables=outcome.variables,
        )
        return self._report(result, failure)

    def from_crash(self, crash: Crash) -> ExecutionReport:
        """Return the report of a program whose process exited without a valid result."""
        category, error_type, message = self._classify_crash(crash)
        line = self.recording.line or (self.recording.path[-1] if self.recording.path else None)
        specifics = self._specifics(category, crash.seconds, crash.peak_memory)
        if category is ErrorCategory.EXECUTION_TIMEOUT:
            specifics["last_executed_line"] = line
        if category is ErrorCategory.INTERNAL:
            specifics["stage"] = "execution"
        exit_code = 1 if category is ErrorCategory.EXECUTION_TIMEOUT else _shell_exit_code(crash.exit_status)
        result = self._result(exit_code, crash.seconds, None, {}, None)
        return self._report(result, self._failure(category, error_type, message, line=line, specifics=specifics))

    def from_violations(self, violations: Sequence[Violation]) -> ExecutionReport:
        """Return the report of a program that was not run because its source violates the policy."""
        first = violations[0]
        specifics = self._specifics(ErrorCategory.SECURITY, 0.0, None)
        specifics["violations"] = len(violations)
        message = violation_message(first.kind, first.subject)
        failure = self._failure(
            ErrorCategory.SECURITY, "SecurityViolation", message, violation=first, line=first.line, specifics=specifics
        )
        return self._report(self._result(1, 0.0, None, {}, None), failure)

    def _line_of(self, raised: Captured) -> int | None:
        """Return the innermost line of the program in the traceback."""
        for frame in reversed(raised["frames"]):
            if frame["filename"] == FILENAME:
                return frame["line"]
        path = self.recording.path
        return path[-1] if path and raised["syntax"] is None else None

    def _classify_result(self, outcome: WorkerResult) -> tuple[ErrorCategory | None, str, str]:
        """Return category, type and message of a worker's result; no category for a success."""
        raised = outcome.exception
        error_type, message = ("", "") if raised is None else (raised["type"], raised["message"])
        if outcome.timed_out:
            return self._memory_failure() if self._hangs_in_openblas else self._timeout_failure()
        if outcome.violation is not None:
            message = violation_message(outcome.violation.kind, outcome.violation.subject)
            return ErrorCategory.SECURITY, "SecurityViolation", message
        if raised is None:
            if outcome.exit_code == 0:
                return None, "", ""
            return ErrorCategory.RUNTIME, "SystemExit", str(outcome.exit_code)
        if outcome.stage == "compile":
            return ErrorCategory.SYNTAX, error_type, message
        bases = raised["bases"]
        if "builtins.MemoryError" in bases:
            return ErrorCategory.MEMORY, error_type, self._memory_message()
        if self._lacked_memory(raised, at_limit=outcome.at_memory_limit is True):
            return self._memory_failure()
        if "builtins.ImportError" in bases:
            return ErrorCategory.IMPORT, error_type, message
        return ErrorCategory.RUNTIME, error_type, message

    def _classify_crash(self, crash: Crash) -> tuple[ErrorCategory, str, str]:
        """Return category, type and message of a process without a valid result. One of them always fits."""
        status = crash.exit_status
        if crash.protocol_error:
            return ErrorCategory.INTERNAL, "WorkflowError", f"the worker's result is not valid: {crash.protocol_error}"
        # Exit status 1 after the time limit: the worker stopped the program, which had closed the socket.
        stopped_itself = status == 1 and crash.seconds >= self.request.seconds
        if crash.timed_out or stopped_itself or status == -signal.SIGXCPU:
            return self._memory_failure() if self._hangs_in_openblas else self._timeout_failure()
        if status and self._ran_out_of_memory(status, crash.peak_memory):
            return self._memory_failure()
        if status is not None and status < 0:
            name = _signal_name(-status)
            return ErrorCategory.RUNTIME, name, f"the process was killed by signal {name}"
        if status:
            message = f"the process exited with status {status} before the program had ended"
            return ErrorCategory.RUNTIME, "ProcessExit", message
        message = "the process exited with status 0 and sent no result"
        return ErrorCategory.INTERNAL, "WorkflowError", message

    def _ran_out_of_memory(self, status: int, peak_memory: int | None) -> bool:
        """Return whether the memory limit explains a process that exited with *status*."""
        if status == -signal.SIGKILL and self._exceeded_memory(peak_memory):
            return True
        if not self.memory_is_limited:
            return False
        return self._reports_lack_of_memory or (status in _CRASH_STATUSES and bool(self._library_needs[0]))

    def _timeout_failure(self) -> tuple[ErrorCategory, str, str]:
        message = f"Code execution exceeded {self.request.seconds:g} second timeout"
        return ErrorCategory.EXECUTION_TIMEOUT, "ExecutionTimeout", message

    @property
    def _hangs_in_openblas(self) -> bool:
        """Whether OpenBLAS retries an allocation for ever, which it does after it has written so to stderr."""
        return self.memory_is_limited and _OPENBLAS.search(self.stderr[-_STDERR_TAIL:]) is not None

    def _lacked_memory(self, raised: Captured, *, at_limit: bool) -> bool:
        """Return whether the memory limit explains an exception that is not a MemoryError."""
        if not self.memory_is_limited or _is_raised_by_program(raised):
            return False
        if at_limit and self._replaces_memory_error(raised):
            return True
        if "builtins.KeyboardInterrupt" in raised["bases"]:  # OpenBLAS sends SIGINT where it can start no thread
            in_library = bool(raised["frames"]) and not _is_in_program(raised)
            return (at_limit and in_library) or self._reports_lack_of_memory
        return _says_out_of_memory(raised)

    def _replaces_memory_error(self, raised: Captured) -> bool:
        """Return whether a library may have raised an exception at the memory limit in the place of a MemoryError.

        A compiled module raises a TypeError, or another, where it could not make an object.
        """
        bases = raised["bases"]
        if "builtins.ModuleNotFoundError" in bases:
            return False
        if _REPLACES_MEMORY_ERROR.intersection(bases):
            return True
        return bool(self._library_needs[0]) and not _is_in_program(raised)

    @property
    def _reports_lack_of_memory(self) -> bool:
        """Whether the end of stderr has a library's message of it."""
        return _OUT_OF_MEMORY.search(self.stderr[-_STDERR_TAIL:]) is not None

    def _memory_failure(self) -> tuple[ErrorCategory, str, str]:
        return ErrorCategory.MEMORY, "MemoryError", self._memory_message()

    def _memory_message(self) -> str:
        """Return the limit, and the size that would do where a table has the needs of an imported library."""
        message = f"Memory limit of {format_size(self.request.memory_bytes)} exceeded"
        libraries, size = self._library_needs
        if not libraries:
            return message
        verb = "takes" if len(libraries) == 1 else "take"
        threads = f" with {self.threads} threads" if self.threads > 1 else ""
        return f"{message}: {' and '.join(libraries)} {verb} at least {format_size(size)}{threads}"

    @functools.cached_property
    def _library_needs(self) -> tuple[list[str], int]:
        """Libraries of the program that need more than the limit, and the bytes they need; none if it suffices."""
        libraries, size = needed_memory(self.code, self.threads)
        return (libraries, size) if size > self.request.memory_bytes else ([], 0)

    def _exceeded_memory(self, peak: int | None) -> bool:
        """Return whether a process certainly exceeded its limit. *peak* begins with this process's own at the fork."""
        return peak is not None and peak > self.request.memory_bytes and peak > own_peak_memory()

    def _specifics(self, category: ErrorCategory, seconds: float, memory: int | None) -> dict[str, Json]:
        """Return the fields that a failure of *category* has beside those of all failures, for programs to read."""
        if category is ErrorCategory.EXECUTION_TIMEOUT:
            limit = self.request.seconds
            return {"timeout_limit": int(limit) if limit.is_integer() else limit, "execution_time": round(seconds, 3)}
        if category is ErrorCategory.MEMORY:
            used = None if memory is None else format_size(memory)
            specifics: dict[str, Json] = {
                "memory_limit": format_size(self.request.memory_bytes),
                "memory_used": used,
            }
            libraries, size = self._library_needs
            if libraries:
                specifics["memory_needed"] = format_size(size)
                specifics["libraries"] = [*libraries]
                if self.threads > 1:
                    specifics["threads"] = self.threads
            return specifics
        if category is ErrorCategory.SECURITY:
            return {"security_level": self.policy.level.value, "available_modules": list(self.policy.available_modules)}
        if category is ErrorCategory.INTERNAL:
            return {}
        return {"available_modules": list(self.policy.available_modules)}

    def _failure(
        self,
        category: ErrorCategory,
        error_type: str,
        message: str,
        *,
        exception: Captured | None = None,
        violation: Violation | None = None,
        line: int | None,
        specifics: Mapping[str, Json],
        variables: Mapping[str, Json] | None = None,
    ) -> Failure:
        return Failure(
            category=category,
            error_type=error_type,
            message=message,
            exception=exception,
            source=self.code,
            line=line,
            specifics=specifics,
            progress=self._progress(line, variables or {}),
            violation=violation,
            stderr=self.stderr,
            system=self._system(),
        )

    def _progress(self, line: int | None, variables: Mapping[str, Json]) -> Progress:
        """Return how far the program came. The recording is untrusted: its numbers are cut to the lines there are."""
        recording = self.recording
        lines = self.code.splitlines(keepends=True)
        total = len(lines)
        end = min(recording.end_line, total)
        path = [each for each in recording.path if each <= total]
        if line is not None:
            path = [each for each in path if each != line] + [line]
        snippet = "".join(lines[: max(0, end - 1)])
        if end:
            snippet += lines[end - 1].encode("utf-8", "replace")[: recording.end_column].decode("utf-8", "replace")
        return Progress(
            completed_lines=min(recording.completed_lines, total),
            total_lines=total,
            last_successful_line=end or None,
            path=path,
            stdout=self.stdout,
            variables=variables,
            snippet=snippet,
        )

    def _system(self) -> dict[str, Json]:
        return {
            "python": self.python,
            "platform": platform.system(),
            "machine": platform.machine(),
            "timeout": self.request.seconds,
            "memory_limit": format_size(self.request.memory_bytes),
            "security_level": self.policy.level.value,
        }

    def _result(
        self, exit_code: int, seconds: float, peak: int | None, variables: Mapping[str, Json], value: Json
    ) -> ExecutionResult:
        return ExecutionResult(
            stdout=self.stdout,
            stderr=self.stderr,
            return_value=value,
            variables=variables,
            execution_time=seconds,
            memory_used=peak,
            exit_code=exit_code,
        )

    def _report(
        self, result: ExecutionResult, failure: Failure | None = None, notes: Sequence[str] = ()
    ) -> ExecutionReport:
        return ExecutionReport(
            execution_id=self.execution_id,
            success=failure is None,
            execution_result=result,
            timestamp=datetime.datetime.fromtimestamp(current_clock().wall(), datetime.UTC),
            error=None if failure is None else explain(failure),
            assigned_by=self.assigned_by,
            artifacts=tuple(self.artifacts),
            notes=(*self.notes, *notes),
        )


def _is_raised_by_program(raised: Captured) -> bool:
    frames = raised["frames"]
    return bool(frames) and frames[-1]["filename"] == FILENAME and frames[-1]["code"].startswith("raise ")


def _is_in_program(raised: Captured) -> bool:
    frames = raised["frames"]
    return bool(frames) and frames[-1]["filename"] == FILENAME


def _says_out_of_memory(raised: Captured) -> bool:
    """Return whether an exception, or one that caused it, is a MemoryError or has the message of one."""
    each: Captured | None = raised
    while each is not None and _MAY_MEAN_MEMORY.intersection(each["bases"]):
        if _OUT_OF_MEMORY.search(each["message"]):
            return True
        each = each["cause"]
    return each is not None and each is not raised and "builtins.MemoryError" in each["bases"]


def _shell_exit_code(status: int | None) -> int:
    """Return the exit code that a shell shows for a failed process: 128 + n for signal n, 1 if nothing is known."""
    if not status:
        return 1
    return status if status > 0 else 128 - status


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"SIG{number}"
