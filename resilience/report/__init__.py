"""Say what went wrong in a program so that a person, a program or a model can repair it.

`ErrorReport.from_exception` explains any exception of any program:

    try:
        run()
    except Exception as error:
        print(ErrorReport.from_exception(error))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.rooms import open_rooms

if TYPE_CHECKING:
    from resilience.report.captured import Captured, CapturedFrame, CapturedSyntax
    from resilience.report.causes import diagnose
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
    "diagnose",
    "report_schema",
]

# Imported when first asked for. The functions `capture` and `explain` have the names of their rooms: import them from
# these.
_ROOMS = {
    "Captured": "captured",
    "CapturedFrame": "captured",
    "CapturedSyntax": "captured",
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
    "diagnose": "causes",
    "report_schema": "schema",
}

open_rooms(__name__, _ROOMS)
