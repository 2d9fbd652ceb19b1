"""Decoder of the helper's result, and reports of programs in kernels."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from resilience.categories import ErrorCategory
from resilience.contrib.executor import ContainerConfigurationError, WorkflowError
from resilience.errors._json_safe import Json
from resilience.execution._artifact_collector import ArtifactCollector
from resilience.execution._jupyter.kernel import Kernel
from resilience.execution._outcome import Crash, ReportBuilder
from resilience.execution._result_decoder import InvalidResultError, WorkerResult
from resilience.execution._worker.statements import FILENAME
from resilience.execution.executor import ExecutionReport
from resilience.report._explain import explain
from resilience.report.captured_exception import Captured
from resilience.report.failure import Failure

__all__ = ["KernelResult", "report_of_dead_kernel", "with_kernel_details"]

_DECODE_ERRORS = (KeyError, TypeError, ValueError, SyntaxError, IndexError, RecursionError, MemoryError)


@dataclasses.dataclass(frozen=True, slots=True)
class KernelResult:
    """Result of a program in a kernel, and the progress a worker's recorder would have written."""

    answer: WorkerResult
    recorded: bytes
    collector: ArtifactCollector
    is_fresh: bool
    """Whether the kernel had no state of the session."""

    @classmethod
    def of(cls, reply: Mapping[str, Any], *, timed_out: bool) -> KernelResult:
        """Decode the `user_expressions` of an execute_reply. Raises `WorkflowError` if they hold no valid result."""
        try:
            text = ast.literal_eval(reply["user_expressions"]["answer"]["data"]["text/plain"])
            found = json.loads(text)
            if "no_variables" in found:
                raise ContainerConfigurationError(f"variables: the kernel cannot restore them: {found['no_variables']}")
            collector = ArtifactCollector()
            for message in found.pop("messages"):
                collector.take(message)
            is_fresh = found.pop("is_fresh", True) is True
            # The layout of `_worker.recorder`: request begun, completed lines, end of the last statement.
            recorded = b"".join(int(number).to_bytes(4, "little") for number in (1, *found.pop("progress")))
            answer = WorkerResult.of({**found, "timed_out": timed_out, "timed_out_at": None})
            line = _last_line(answer.exception) if timed_out else None
            return cls(dataclasses.replace(answer, timed_out_at=line), recorded, collector, is_fresh)
        except (*_DECODE_ERRORS, InvalidResultError, OverflowError) as error:
            raise WorkflowError("the kernel's result cannot be decoded", "execution", error) from error

    def report(self, builder: ReportBuilder) -> ExecutionReport:
        """Return the report."""
        return dataclasses.replace(
            builder,
            recorder=lambda: self.recorded,
            artifacts=[*builder.artifacts, *self.collector.artifacts],
            notes=[*builder.notes, *self.collector.notes],
        ).from_result(self.answer)


def report_of_dead_kernel(builder: ReportBuilder, status: int | None, seconds: float) -> ExecutionReport:
    """Return the report of a program whose kernel exited with *status*, None if unknown."""
    crash = Crash(timed_out=False, protocol_error="", exit_status=status or 1, peak_memory=None, seconds=seconds)
    report = builder.from_crash(crash)
    if status is not None or report.error is None:
        return report
    failure = Failure(
        category=ErrorCategory.RUNTIME,
        error_type="ProcessExit",
        message="the process of the kernel exited before the program had ended",
        source=builder.code,
        system=report.error.system_state,
    )
    return dataclasses.replace(report, error=explain(failure))


def with_kernel_details(report: ExecutionReport, kernel: Kernel) -> ExecutionReport:
    """Return *report* with the kernel's name and host, and the limits that do not hold there."""
    if report.error is None:
        return report
    level = report.error.system_state.get("security_level")
    system: dict[str, Json] = {
        **report.error.system_state,
        "kernel": kernel.name,
        "host": kernel.host,
        "memory_limit": "none: a kernel has only the limits of its host",
        "security_level": f"{level}: checked in the source only, not enforced in the kernel",
    }
    return dataclasses.replace(report, error=dataclasses.replace(report.error, system_state=system))


def _last_line(exception: Captured | None) -> int | None:
    """Return the innermost line of the program in the traceback."""
    frames = [] if exception is None else exception["frames"]
    lines = [frame["line"] for frame in frames if frame["filename"] == FILENAME]
    return lines[-1] if lines else None
