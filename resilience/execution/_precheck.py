"""Code that fails before it is run: what its source alone shows."""

from __future__ import annotations

import os

from resilience.execution._analysis import analyse
from resilience.execution._analysis.parsing import check
from resilience.execution._outcome import Execution
from resilience.execution._result_decoder import Answer
from resilience.execution._worker.statements import FILENAME, Program
from resilience.execution.executor import ExecutionReport
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityPolicy
from resilience.report._capture import capture

__all__ = ["screen"]


def screen(request: ExecutionRequest) -> ExecutionReport | None:
    """Return the report of code that is no Python, or shows what its policy forbids; None where it may be run.

    It is compiled by this interpreter, also where another one is to run it.

    >>> screen(ExecutionRequest("1 +")).error.error_summary, screen(ExecutionRequest("1 + 1"))
    ('SyntaxError on line 1: invalid syntax', None)
    """
    code = request.code.removeprefix("\ufeff")
    policy = SecurityPolicy.of(request.security_level, request.allowed_imports)
    known = Execution(execution_id=f"exec_{os.urandom(6).hex()}", request=request, code=code, policy=policy)
    if check(code) is not None:
        return known.answered(_not_compiled(code))
    violations = analyse(code, policy)
    return known.refused(violations) if violations else None


def _is_ours(filename: str) -> bool:
    return filename != FILENAME


def _not_compiled(code: str) -> Answer:
    try:
        Program(code)
    except Exception as error:  # SyntaxError, or what the compiler raises for what is too deep for it
        raised = capture(error, source=code, hidden=_is_ours)
    else:
        raise AssertionError("it was compiled all the same")
    return Answer(
        stage="compile",
        exit_code=1,
        seconds=0.0,
        peak=None,
        timed_out=False,
        timed_out_at=None,
        violation=None,
        variables={},
        value=None,
        exception=raised,
    )
