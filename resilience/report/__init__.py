"""Explain a failure so that a person, a program or a model can repair it.

`ErrorReport.from_exception` explains any exception of any program:

    try:
        run()
    except Exception as error:
        print(ErrorReport.from_exception(error))

The path of a failure: `capture` makes plain values of the exception, a `Failure` adds what else is known, `diagnose`
finds cause and advice, and `explain` makes the `ErrorReport`, redacted, which renders itself as JSON, for a terminal or
for a model. An executor in another process and a saved traceback enter with a `Failure` of their own.

Names are imported when they are first used, so that a worker process that needs `capture` alone imports no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy

if TYPE_CHECKING:
    from resilience.report._capture import capture
    from resilience.report._diagnosis import diagnose
    from resilience.report._explain import explain
    from resilience.report.captured_exception import Captured, CapturedFrame, CapturedSyntax
    from resilience.report.diagnosis import Diagnosis
    from resilience.report.failure import Failure, Progress, Violation
    from resilience.report.model import (
        ErrorReport,
        ExceptionInfo,
        ExecutionContext,
        RecoveryOption,
        SourceLine,
        TracebackFrame,
    )
    from resilience.report.schema import report_schema

__all__ = [
    "Captured",
    "CapturedFrame",
    "CapturedSyntax",
    "Diagnosis",
    "ErrorReport",
    "ExceptionInfo",
    "ExecutionContext",
    "Failure",
    "Progress",
    "RecoveryOption",
    "SourceLine",
    "TracebackFrame",
    "Violation",
    "capture",
    "diagnose",
    "explain",
    "report_schema",
]

# Imported when first asked for.
_LAZY = {
    "Captured": "captured_exception",
    "CapturedFrame": "captured_exception",
    "CapturedSyntax": "captured_exception",
    "Diagnosis": "diagnosis",
    "ErrorReport": "model",
    "ExceptionInfo": "model",
    "ExecutionContext": "model",
    "Failure": "failure",
    "Progress": "failure",
    "RecoveryOption": "model",
    "SourceLine": "model",
    "TracebackFrame": "model",
    "Violation": "failure",
    "capture": "_capture",
    "diagnose": "_diagnosis",
    "explain": "_explain",
    "report_schema": "schema",
}

attach_lazy(__name__, _LAZY)
