"""Interface of executors, and the report they return.

Whatever a program does is data: a report says how it went, and a failure has a category like any other error here.
Only a failure to run programs at all raises. So a caller who needs a decision by category (run it again, write it
again, stop) finds both kinds in one place each.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from resilience.categories import ErrorCategory
from resilience.errors._json_safe import Json
from resilience.execution._floats import without_special_floats
from resilience.execution._memory_size import format_size
from resilience.execution.artifacts import Artifact
from resilience.execution.events import StreamEvent
from resilience.execution.request import ExecutionRequest
from resilience.report.model import ErrorReport

__all__ = ["ExecutionReport", "ExecutionResult", "Executor", "Listener"]

Listener = Callable[[StreamEvent], object]
"""Called with each event as it happens. A listener that raises is logged once and changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """Output, value and resource use of an execution.

    It is there for a failure, too, with the output up to then. All of it was made by the program: treat it as input.

    >>> ExecutionResult(return_value=float("nan"), memory_used=13_631_488).to_dict()["return_value"]
    'NaN'
    """

    stdout: str = ""
    stderr: str = ""
    return_value: Json = None
    """The value of the last statement, where that is an expression.

    It keeps its meaning: a tuple is a list, a number or array of numpy is a number or a list, a date is its ISO 8601
    text, NaN and the infinities are floats. A value that JSON has no form for is a short text.
    """
    variables: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """A short text of each variable; those that the request names are whole, as a return value is."""
    execution_time: float = 0.0
    """Seconds."""
    memory_used: int | None = None
    """Bytes, at the peak; None where the platform does not report it."""
    exit_code: int = 0

    def to_dict(self) -> dict[str, Json]:
        """Return it as JSON takes it. NaN and the infinities are the texts ``NaN``, ``Infinity`` and ``-Infinity``."""
        return {
            "stdout": self.stdout,
            "stderr": self.stderr,
            "return_value": without_special_floats(self.return_value),
            "variables": {name: without_special_floats(value) for name, value in self.variables.items()},
            "execution_time": round(self.execution_time, 6),
            "memory_used": None if self.memory_used is None else format_size(self.memory_used),
            "exit_code": self.exit_code,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReport:
    r"""Report of an execution. A program that fails is a report; only a failure to run programs at all raises.

    >>> from resilience.execution import SubprocessExecutor
    >>> with SubprocessExecutor() as executor:
    ...     report = executor.execute_sync("prices = [3, 4]\nsum(price)")
    >>> report.success, report.category.label, report.error.suggested_fix
    (False, 'runtime_error', 'sum(prices)')
    >>> report.to_dict(level=1)["success"]
    False
    """

    execution_id: str
    success: bool
    execution_result: ExecutionResult
    timestamp: datetime.datetime
    error: ErrorReport | None = None
    assigned_by: str = "ray"
    """Who gave the work, for the receiver of the report: set for a request, or once for an executor."""
    ran_on: str = ""
    """Which of several executors ran it, such as ``local`` for a `FallbackExecutor`; empty where there is only one."""
    tried: Sequence[ErrorReport] = ()
    """Failures of executors that could not be reached before, in order."""
    artifacts: Sequence[Artifact] = ()
    """Figures, tables and files that the program has made. Those of a failure are what it had made by then."""
    notes: Sequence[str] = ()
    """What is missing in the report, or not whole, and why."""

    @property
    def category(self) -> ErrorCategory | None:
        """Category of the failure; None for a success."""
        return None if self.error is None else self.error.category

    def to_dict(self, level: int = 3) -> dict[str, Json]:
        """Return it as JSON takes it: of a failure, the report of the error in the detail of *level*, 1 to 4.

        From level 2 on, a failure has the result, too: what was printed, the variables, the exception. Secrets are
        redacted then. A success is shown as it is.
        """
        from resilience.execution._serialization import report_to_dict

        return report_to_dict(self, level)

    def to_json(self, level: int = 3, *, indent: int | None = None) -> str:
        """Return `to_dict` as a JSON text, with *indent* spaces for each level. It is valid JSON: it holds no NaN."""
        import json

        return json.dumps(self.to_dict(level), indent=indent, ensure_ascii=False, allow_nan=False)

    def to_llm(self, max_tokens: int = 1000) -> str:
        """Return it as text for a model, the most important first, in at most *max_tokens* by a cautious estimate."""
        from resilience.execution._serialization import report_to_llm

        return report_to_llm(self, max_tokens)

    def raise_for_error(self) -> None:
        """Raise the failure, if it is one, as an error of `resilience.contrib.executor`.

        SYNTAX is a `CodeSyntaxError`, EXECUTION_TIMEOUT an `ExecutionTimeoutError`, INTERNAL a `WorkflowError`, and
        what else code can fail with a `CodeRuntimeError`. Each has the category of the report, and the report in its
        `technical_details`.
        """
        if self.error is not None:
            from resilience.execution._to_exception import to_exception

            raise to_exception(self, self.error)


class Executor(Protocol):
    """Executes Python programs. Raises only if it cannot run programs at all (INFRASTRUCTURE).

    Whatever has these two methods is an executor: the ones here, a `FallbackExecutor` of several, or one of your own,
    such as a client of a service that runs code in containers. It may be shared by threads and tasks.
    """

    async def execute(self, request: ExecutionRequest | str, *, on_event: Listener | None = None) -> ExecutionReport:
        """Execute the code of *request* and return the report. *on_event* is called with each event as it happens.

        Cancelled, it must not return before the program has been stopped.
        """
        ...

    def execute_sync(self, request: ExecutionRequest | str, *, on_event: Listener | None = None) -> ExecutionReport:
        """Do what `execute` does and block until it has ended."""
        ...
