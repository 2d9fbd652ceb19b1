"""What the helper in a kernel answers, and the report that is made of it."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from resilience.categories import ErrorCategory
from resilience.contrib.executor import WorkflowError
from resilience.errors._json_safe import Json
from resilience.execution._jupyter.kernel import Kernel
from resilience.execution._outcome import Death, Execution
from resilience.execution._result_decoder import Answer, NoAnswerError
from resilience.execution._worker.statements import FILENAME
from resilience.execution.executor import ExecutionReport
from resilience.report._explain import explain
from resilience.report.captured_exception import Captured
from resilience.report.failure import Failure

__all__ = ["KernelAnswer", "died", "in_kernel"]

_UNREADABLE = (KeyError, TypeError, ValueError, SyntaxError, IndexError, RecursionError, MemoryError)


@dataclasses.dataclass(frozen=True, slots=True)
class KernelAnswer:
    """How a program went, and what a recorder would have written of it."""

    answer: Answer
    recorded: bytes

    @classmethod
    def of(cls, reply: Mapping[str, Any], *, timed_out: bool) -> KernelAnswer:
        """Read what the `user_expressions` of an execute_reply hold. Raises `WorkflowError` where that is nothing."""
        try:
            text = ast.literal_eval(reply["user_expressions"]["answer"]["data"]["text/plain"])
            found = json.loads(text)
            # As `child.recorder` writes it: that there was a request, lines, end of the last statement.
            recorded = b"".join(int(number).to_bytes(4, "little") for number in (1, *found.pop("progress")))
            answer = Answer.of({**found, "timed_out": timed_out, "timed_out_at": None})
            line = _last_line(answer.exception) if timed_out else None
            return cls(dataclasses.replace(answer, timed_out_at=line), recorded)
        except (*_UNREADABLE, NoAnswerError, OverflowError) as error:
            raise WorkflowError("the kernel gave no answer that can be read", "execution", error) from error

    def reported(self, known: Execution) -> ExecutionReport:
        """Return the report."""
        return dataclasses.replace(known, recorder=lambda: self.recorded).answered(self.answer)


def died(known: Execution, status: int | None, seconds: float) -> ExecutionReport:
    """Return the report of a program whose kernel has ended with *status*, None where that is not known."""
    death = Death(late=False, trouble="", status=status or 1, most_memory=None, seconds=seconds)
    report = known.died(death)
    if status is not None or report.error is None:
        return report
    failure = Failure(
        category=ErrorCategory.RUNTIME,
        error_type="ProcessExit",
        message="the kernel's process ended before the program was over",
        source=known.code,
        system=report.error.system_state,
    )
    return dataclasses.replace(report, error=explain(failure))


def in_kernel(report: ExecutionReport, kernel: Kernel) -> ExecutionReport:
    """Return *report* with where it was made, and which limits do not hold there."""
    if report.error is None:
        return report
    system: dict[str, Json] = {
        **report.error.system_state,
        "kernel": kernel.name,
        "host": kernel.host,
        "memory_limit": "none: a kernel has the limits of its host",
        "security_level": f"{report.error.system_state.get('security_level')}: of the source alone, not in the kernel",
    }
    return dataclasses.replace(report, error=dataclasses.replace(report.error, system_state=system))


def _last_line(exception: Captured | None) -> int | None:
    """Return the line of the program that was interrupted."""
    frames = [] if exception is None else exception["frames"]
    lines = [frame["line"] for frame in frames if frame["filename"] == FILENAME]
    return lines[-1] if lines else None
