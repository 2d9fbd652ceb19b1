"""How an execution ended, in the words of the report: a success, or a failure with its category."""

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
from resilience.execution._library_memory import needed
from resilience.execution._memory_size import format_size
from resilience.execution._result_decoder import Answer
from resilience.execution._worker.policy_messages import message
from resilience.execution._worker.recorder import Recording
from resilience.execution._worker.statements import FILENAME
from resilience.execution._worker_process import own_peak
from resilience.execution.executor import ExecutionReport, ExecutionResult
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityPolicy
from resilience.report._explain import explain
from resilience.report.captured_exception import Captured
from resilience.report.failure import Failure, Progress, Violation

__all__ = ["Death", "Execution"]

# What libraries say when address space ends: most raise no MemoryError, and some end the process, or send it SIGINT.
_OUT_OF_MEMORY = re.compile(
    r"memory allocation (?:still )?failed|memory allocation of \d+ bytes failed|std::bad_alloc|_PyErr_NoMemory"
    r"|LLVM ERROR: out of memory|can(?:not|'t) allocate memory(?! in static TLS)"
    r"|failed to map segment(?!.{0,40}(?:not permitted|denied))"
    r"|can't start new thread|pthread_create failed|^MemoryError",
    re.IGNORECASE | re.MULTILINE,
)
_OPENBLAS = re.compile(r"^OpenBLAS.*(?:memory|pthread_create)", re.IGNORECASE | re.MULTILINE)
_LAST_WORDS = 2000
_CRASHES = frozenset(-getattr(signal, name, 0) for name in ("SIGSEGV", "SIGBUS", "SIGABRT")) - {0}
"""How C code ends that uses memory it has not got: likely where the limit is too low for a library of the program."""
_BROKEN_BY_MEMORY = frozenset({"builtins.ImportError", "builtins.SystemError"})
"""What C code makes of a MemoryError that it does not pass on."""
_MEANS_MEMORY = frozenset({"builtins.ImportError", "builtins.OSError", "builtins.RuntimeError", "builtins.SystemError"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """What is known of a process that gave no answer."""

    late: bool
    """Whether it was killed since its time was up."""
    trouble: str
    """What was wrong with its answer, where there was one."""
    status: int | None
    """What it ended with; a negative number for a signal."""
    most_memory: int | None
    seconds: float


@dataclass(kw_only=True)
class Execution:
    """One execution, and what is known of it."""

    execution_id: str
    request: ExecutionRequest
    code: str
    policy: SecurityPolicy
    recorder: Callable[[], bytes] = bytes
    """Returns what the process wrote down on its way. Failures are asked for it only."""
    stdout: str = ""
    stderr: str = ""
    python: str = ""
    memory_is_limited: bool = False
    """Whether the system keeps the limit of memory."""

    @functools.cached_property
    def recording(self) -> Recording:
        """How far the program has come."""
        return Recording(self.recorder())

    def answered(self, answer: Answer) -> ExecutionReport:
        """Return the report of a program whose process has told how it went."""
        result = self._result(answer.exit_code, answer.seconds, answer.peak, answer.variables, answer.value)
        kind, error_type, message = self._kind_of(answer)
        if kind is None:
            return self._report(result)
        raised = answer.exception
        specifics = self._specifics(kind, answer.seconds, answer.peak)
        line = None
        if kind is ErrorCategory.EXECUTION_TIMEOUT and answer.timed_out_at is not None:
            line = specifics["last_executed_line"] = answer.timed_out_at
        elif raised is not None:
            line = self._line_of(raised)
        failure = self._failure(
            kind,
            error_type,
            message,
            exception=raised,
            violation=answer.violation if kind is ErrorCategory.SECURITY else None,
            line=line,
            specifics=specifics,
            variables=answer.variables,
        )
        return self._report(result, failure)

    def died(self, death: Death) -> ExecutionReport:
        """Return the report of a program whose process ended without having told anything that can be used."""
        kind, error_type, message = self._kind_of_death(death)
        line = self.recording.line or (self.recording.path[-1] if self.recording.path else None)
        specifics = self._specifics(kind, death.seconds, death.most_memory)
        if kind is ErrorCategory.EXECUTION_TIMEOUT:
            specifics["last_executed_line"] = line
        if kind is ErrorCategory.INTERNAL:
            specifics["stage"] = "execution"
        status = death.status
        code = 1 if kind is ErrorCategory.EXECUTION_TIMEOUT or not status else status if status > 0 else 128 - status
        result = self._result(code, death.seconds, None, {}, None)
        return self._report(result, self._failure(kind, error_type, message, line=line, specifics=specifics))

    def refused(self, violations: Sequence[Violation]) -> ExecutionReport:
        """Return the report of a program that was not run, since its source shows what it must not do."""
        first = violations[0]
        specifics = self._specifics(ErrorCategory.SECURITY, 0.0, None)
        specifics["violations"] = len(violations)
        said = message(first.kind, first.subject)
        failure = self._failure(
            ErrorCategory.SECURITY, "SecurityViolation", said, violation=first, line=first.line, specifics=specifics
        )
        return self._report(self._result(1, 0.0, None, {}, None), failure)

    def _line_of(self, raised: Captured) -> int | None:
        """Return the innermost line of the code that an exception went through."""
        for frame in reversed(raised["frames"]):
            if frame["filename"] == FILENAME:
                return frame["line"]
        path = self.recording.path
        return path[-1] if path and raised["syntax"] is None else None

    def _kind_of(self, answer: Answer) -> tuple[ErrorCategory | None, str, str]:
        """Return category, type and message of what a program has told; no category for a success."""
        raised = answer.exception
        error_type, said = ("", "") if raised is None else (raised["type"], raised["message"])
        if answer.timed_out:
            return self._out_of_memory() if self._hangs_in_openblas else self._timeout()
        if answer.violation is not None:
            said = message(answer.violation.kind, answer.violation.subject)
            return ErrorCategory.SECURITY, "SecurityViolation", said
        if raised is None:
            if answer.exit_code == 0:
                return None, "", ""
            return ErrorCategory.RUNTIME, "SystemExit", str(answer.exit_code)
        if answer.stage == "compile":
            return ErrorCategory.SYNTAX, error_type, said
        bases = raised["bases"]
        if "builtins.MemoryError" in bases:
            return ErrorCategory.MEMORY, error_type, self._over_memory()
        if self._lacked_memory(raised, at_limit=answer.at_memory_limit is True):
            return self._out_of_memory()
        if "builtins.ImportError" in bases:
            return ErrorCategory.IMPORT, error_type, said
        return ErrorCategory.RUNTIME, error_type, said

    def _kind_of_death(self, death: Death) -> tuple[ErrorCategory, str, str]:
        status = death.status
        if death.trouble:
            return ErrorCategory.INTERNAL, "WorkflowError", f"the process sent what is no result: {death.trouble}"
        # The process ended in time by itself, and could not say so: the program has closed what it says it to.
        by_timer = status == 1 and death.seconds >= self.request.seconds
        if death.late or by_timer or status == -signal.SIGXCPU:
            return self._out_of_memory() if self._hangs_in_openblas else self._timeout()
        if status == -signal.SIGKILL and self._is_over(death.most_memory):
            return self._out_of_memory()
        if status and self.memory_is_limited and _OUT_OF_MEMORY.search(self._last_words):
            return self._out_of_memory()
        if status in _CRASHES and self.memory_is_limited and self._needs[0]:
            return self._out_of_memory()
        if status is not None and status < 0:
            name = _signal_name(-status)
            return ErrorCategory.RUNTIME, name, f"the process was ended by the signal {name}"
        if status:
            said = f"the process ended itself with exit code {status}, before the program was over"
            return ErrorCategory.RUNTIME, "ProcessExit", said
        said = "the process ended as if all were well, and told no result"
        return ErrorCategory.INTERNAL, "WorkflowError", said

    def _timeout(self) -> tuple[ErrorCategory, str, str]:
        said = f"Code execution exceeded {self.request.seconds:g} second timeout"
        return ErrorCategory.EXECUTION_TIMEOUT, "ExecutionTimeout", said

    @property
    def _last_words(self) -> str:
        return self.stderr[-_LAST_WORDS:]

    @property
    def _hangs_in_openblas(self) -> bool:
        """Whether it tried for ever to get memory: OpenBLAS does, after it has said so."""
        return self.memory_is_limited and _OPENBLAS.search(self._last_words) is not None

    def _lacked_memory(self, raised: Captured, *, at_limit: bool) -> bool:
        """Return whether an exception that is no MemoryError tells of the limit."""
        if not self.memory_is_limited or _is_raised_by_program(raised):
            return False
        bases = raised["bases"]
        if at_limit and _BROKEN_BY_MEMORY.intersection(bases) and "builtins.ModuleNotFoundError" not in bases:
            return True
        if "builtins.KeyboardInterrupt" in bases:  # OpenBLAS sends SIGINT where it can start no thread
            in_library = bool(raised["frames"]) and raised["frames"][-1]["filename"] != FILENAME
            return (at_limit and in_library) or _OUT_OF_MEMORY.search(self._last_words) is not None
        each: Captured | None = raised
        while each is not None and _MEANS_MEMORY.intersection(each["bases"]):
            if _OUT_OF_MEMORY.search(each["message"]):
                return True
            each = each["cause"]
        return each is not None and each is not raised and "builtins.MemoryError" in each["bases"]

    def _out_of_memory(self) -> tuple[ErrorCategory, str, str]:
        return ErrorCategory.MEMORY, "MemoryError", self._over_memory()

    def _over_memory(self) -> str:
        said = f"Memory limit of {format_size(self.request.memory_bytes)} exceeded"
        libraries, size = self._needs
        if not libraries:
            return said
        verb = "takes" if len(libraries) == 1 else "take"
        return f"{said}: {' and '.join(libraries)} {verb} at least {format_size(size)}"

    @functools.cached_property
    def _needs(self) -> tuple[list[str], int]:
        """The libraries of the program, and the memory that would do for them, where the limit is too low for them."""
        libraries, size = needed(self.code)
        return (libraries, size) if size > self.request.memory_bytes else ([], 0)

    def _is_over(self, most: int | None) -> bool:
        """Return whether a process certainly had more than it may: *most* begins with what this process had."""
        return most is not None and most > self.request.memory_bytes and most > own_peak()

    def _specifics(self, kind: ErrorCategory, seconds: float, memory: int | None) -> dict[str, Json]:
        if kind is ErrorCategory.EXECUTION_TIMEOUT:
            limit = self.request.seconds
            return {"timeout_limit": int(limit) if limit.is_integer() else limit, "execution_time": round(seconds, 3)}
        if kind is ErrorCategory.MEMORY:
            used = None if memory is None else format_size(memory)
            specifics: dict[str, Json] = {
                "memory_limit": format_size(self.request.memory_bytes),
                "memory_used": used,
            }
            libraries, size = self._needs
            if libraries:
                specifics["memory_needed"] = format_size(size)
                specifics["libraries"] = [*libraries]
            return specifics
        if kind is ErrorCategory.SECURITY:
            return {"security_level": self.policy.level.value, "available_modules": list(self.policy.available_modules)}
        if kind is ErrorCategory.INTERNAL:
            return {}
        return {"available_modules": list(self.policy.available_modules)}

    def _failure(
        self,
        kind: ErrorCategory,
        error_type: str,
        said: str,
        *,
        exception: Captured | None = None,
        violation: Violation | None = None,
        line: int | None,
        specifics: Mapping[str, Json],
        variables: Mapping[str, Json] | None = None,
    ) -> Failure:
        return Failure(
            category=kind,
            error_type=error_type,
            message=said,
            exception=exception,
            source=self.code,
            line=line,
            specifics=specifics,
            progress=self._progress(line, variables or {}),
            violation=violation,
            system=self._system(),
        )

    def _progress(self, line: int | None, variables: Mapping[str, Json]) -> Progress:
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

    def _report(self, result: ExecutionResult, failure: Failure | None = None) -> ExecutionReport:
        return ExecutionReport(
            execution_id=self.execution_id,
            success=failure is None,
            execution_result=result,
            timestamp=datetime.datetime.fromtimestamp(current_clock().wall(), datetime.UTC),
            error=None if failure is None else explain(failure),
            assigned_by=self.request.assigned_by,
        )


def _is_raised_by_program(raised: Captured) -> bool:
    frames = raised["frames"]
    return bool(frames) and frames[-1]["filename"] == FILENAME and frames[-1]["code"].startswith("raise ")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"SIG{number}"
