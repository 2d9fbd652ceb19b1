"""What every executor can do, and what it answers."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from resilience.categories import ErrorCategory
from resilience.errors._json_safe import Json
from resilience.execution._memory_size import format_size
from resilience.execution.events import StreamEvent
from resilience.execution.request import ExecutionRequest
from resilience.report.model import ErrorReport

__all__ = ["ExecutionReport", "ExecutionResult", "Executor", "Listener"]

Listener = Callable[[StreamEvent], object]
"""Is told what happens while it happens. One that raises is reported once, and changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """What an execution left behind."""

    stdout: str = ""
    stderr: str = ""
    return_value: Json = None
    """The value of the last statement, where that is an expression; as a short repr where JSON has no such value."""
    variables: Mapping[str, Json] = field(default_factory=dict[str, Json])
    execution_time: float = 0.0
    """Seconds."""
    memory_used: int | None = None
    """Bytes, at the peak; None where it could not be told."""
    exit_code: int = 0

    def to_dict(self) -> dict[str, Json]:
        """Return it as JSON takes it."""
        return {
            "stdout": self.stdout,
            "stderr": self.stderr,
            "return_value": self.return_value,
            "variables": dict(self.variables),
            "execution_time": round(self.execution_time, 6),
            "memory_used": None if self.memory_used is None else format_size(self.memory_used),
            "exit_code": self.exit_code,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReport:
    """How an execution went. Its success and its failure are both data: only what could not be executed raises."""

    execution_id: str
    success: bool
    execution_result: ExecutionResult
    timestamp: datetime.datetime
    error: ErrorReport | None = None
    assigned_by: str = "ray"
    ran_on: str = ""
    """Which of several executors ran it, such as ``local`` for a `FallbackExecutor`; empty where there is only one."""
    tried: Sequence[ErrorReport] = ()
    """What failed before it could be run: executors that were not to be reached, in order."""

    @property
    def category(self) -> ErrorCategory | None:
        """What kind of failure it was; None for a success."""
        return None if self.error is None else self.error.category

    def to_dict(self, level: int = 3) -> dict[str, Json]:
        """Return it as JSON takes it: of a failure, the report of the error in the detail of *level*, 1 to 4.

        From level 2 on, a failure has the result, too: what was printed, the variables, the exception. Secrets are
        taken out of it then. A success is told as it is.
        """
        from resilience.execution._serialization import document_of

        return document_of(self, level)

    def to_json(self, level: int = 3, *, indent: int | None = None) -> str:
        """Return `to_dict` as a JSON text."""
        import json

        return json.dumps(self.to_dict(level), indent=indent, ensure_ascii=False, allow_nan=False)

    def to_llm(self, max_tokens: int = 1000) -> str:
        """Return it for a model, the most important first, in at most *max_tokens* by a cautious estimate."""
        from resilience.execution._serialization import text_for_model

        return text_for_model(self, max_tokens)

    def raise_for_error(self) -> None:
        """Raise the failure, if it is one, as an error of `resilience.contrib.executor`.

        SYNTAX is a `CodeSyntaxError`, EXECUTION_TIMEOUT an `ExecutionTimeoutError`, INTERNAL a `WorkflowError`, and
        what else code can fail with a `CodeRuntimeError`. Each has the category of the report, and the report in its
        `technical_details`.
        """
        if self.error is not None:
            from resilience.execution._to_exception import error_of

            raise error_of(self, self.error)


class Executor(Protocol):
    """Executes Python code somewhere. Raises only where there is nothing to execute it with (INFRASTRUCTURE)."""

    async def execute(self, request: ExecutionRequest | str, *, on_event: Listener | None = None) -> ExecutionReport:
        """Execute the code of *request* and tell how it went."""
        ...

    def execute_sync(self, request: ExecutionRequest | str, *, on_event: Listener | None = None) -> ExecutionReport:
        """Do what `execute` does, and block until it has."""
        ...
