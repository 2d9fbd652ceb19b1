"""The failure of an execution as an exception, for those who would rather catch than ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from resilience.categories import ErrorCategory
from resilience.contrib.executor import (
    CodeRuntimeError,
    CodeSyntaxError,
    ContainerConnectivityError,
    ExecutionTimeoutError,
    PythonExecutorException,
    WorkflowError,
)
from resilience.report.model import ErrorReport

if TYPE_CHECKING:
    from resilience.execution.executor import ExecutionReport

__all__ = ["error_of"]


def error_of(report: ExecutionReport, failure: ErrorReport) -> PythonExecutorException:
    """Return the exception for *failure*: of the class that says what to do, with the very category of the report."""
    details: dict[str, object] = {"execution_id": report.execution_id, **failure.to_dict(2)}
    found = _kind_of(failure, details)
    found.category = failure.category
    return found


def _kind_of(failure: ErrorReport, details: dict[str, object]) -> PythonExecutorException:
    category, said = failure.category, failure.error_summary
    if category is ErrorCategory.SYNTAX:
        return CodeSyntaxError(said, [failure.error_message], details)
    if category is ErrorCategory.EXECUTION_TIMEOUT:
        return ExecutionTimeoutError(cast("float", failure.specifics.get("timeout_limit", 0.0)), details)
    if category in ErrorCategory.INFRASTRUCTURE:
        return ContainerConnectivityError(said, "localhost", 0, details)
    if category in ErrorCategory.WORKFLOW:
        return WorkflowError(said, "execution", None, details)
    trace = "" if failure.exception is None else failure.exception.full_traceback
    return CodeRuntimeError(said, trace, 1, details)
