"""Failure of an execution as an exception of `resilience.contrib.executor`.

For callers who want a failure of the code to raise like one of the infrastructure, so that one policy handles both. The
exception carries the category that the report has, which may be narrower than that of its class.
"""

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

__all__ = ["to_exception"]


def to_exception(report: ExecutionReport, failure: ErrorReport) -> PythonExecutorException:
    """Return the exception for *failure*, with the category of the report."""
    details: dict[str, object] = {"execution_id": report.execution_id, **failure.to_dict(2)}
    found = _exception_for(failure, details)
    found.category = failure.category
    return found


def _exception_for(failure: ErrorReport, details: dict[str, object]) -> PythonExecutorException:
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
