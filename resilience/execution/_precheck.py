"""Precheck: the report of code that fails before it runs, by its syntax or its policy."""

from __future__ import annotations

from resilience.execution._analysis import analyse
from resilience.execution._analysis.parsing import syntax_diagnostic
from resilience.execution._outcome import ReportBuilder
from resilience.execution._result_decoder import WorkerResult
from resilience.execution._worker.statements import FILENAME, Program
from resilience.execution._worker_process import new_execution_id
from resilience.execution.executor import ExecutionReport
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityPolicy
from resilience.report._capture import capture

__all__ = ["precheck"]


def precheck(request: ExecutionRequest) -> ExecutionReport | None:
    """Return the report of code that does not compile or violates its policy; None if it may run.

    It is compiled by this interpreter, even if another one will run it.

    >>> precheck(ExecutionRequest("1 +")).error.error_summary, precheck(ExecutionRequest("1 + 1"))
    ('SyntaxError on line 1: invalid syntax', None)
    """
    code = request.code.removeprefix("\ufeff")
    policy = SecurityPolicy.of(request.security_level, request.allowed_imports)
    builder = ReportBuilder(execution_id=new_execution_id(), request=request, code=code, policy=policy)
    if syntax_diagnostic(code) is not None:
        return builder.from_result(_compile_failure(code))
    violations = analyse(code, policy)
    return builder.from_violations(violations) if violations else None


def _is_ours(filename: str) -> bool:
    return filename != FILENAME


def _compile_failure(code: str) -> WorkerResult:
    try:
        Program(code)
    except Exception as error:  # SyntaxError, or what the compiler raises for what is too deep for it
        raised = capture(error, source=code, hidden=_is_ours)
    else:
        raise AssertionError("the code compiles")
    return WorkerResult(
        stage="compile",
        exit_code=1,
        seconds=0.0,
        timed_out=False,
        variables={},
        exception=raised,
    )
