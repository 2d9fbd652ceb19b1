"""Report of a live exception, in any program.

Captures the exception, classifies it, and adds the source and the state of the process; together they are a `Failure`,
the input of `explain`. It serves exceptions that were caught in this process. The executor and the parser of saved
tracebacks make their `Failure` themselves. Attributes of the exception may be code of the program, which runs under a
limit of steps.
"""

from __future__ import annotations

import linecache
import platform
import sys
import threading

from resilience.categories import ErrorCategory
from resilience.classification import classify
from resilience.errors._json_safe import Json
from resilience.report._capture import capture
from resilience.report._explain import explain
from resilience.report._location import program_frame
from resilience.report._step_limit import ForeignExitError, StepLimitError, with_step_limit
from resilience.report.captured_exception import Captured
from resilience.report.failure import Failure
from resilience.report.model import ErrorReport

__all__ = ["failure_of", "report_of"]

_MAX_SOURCE = 200_000  # of a file; a report reads no more to find a cause


def report_of(exc: BaseException, *, source: str | None = None, filename: str = "<string>") -> ErrorReport:
    """Return the report of an exception: see `ErrorReport.from_exception`."""
    return explain(failure_of(exc, source=source, filename=filename))


def failure_of(exc: BaseException, *, source: str | None = None, filename: str = "<string>") -> Failure:
    """Return an exception as the input of a report.

    Without *source*, the file that the failure is in is read, where it has at most 200 000 characters. Raises TypeError
    for an *exc* that is not an exception, such as a class.
    """
    if not isinstance(exc, BaseException):
        raise TypeError(f"exc={exc!r}: give an exception")
    raised = capture(exc, source=source, filename=filename)
    if source is None:
        filename, source = _program(raised)
    return Failure(
        category=_category(exc),
        error_type=raised["type"],
        message=raised["message"],
        exception=raised,
        source=source,
        filename=filename,
        is_local=True,
        system=_system(),
    )


def _category(exc: BaseException) -> ErrorCategory:
    """Return the category that `classify` finds; UNKNOWN where reading an attribute takes too many steps, or exits."""
    try:
        return with_step_limit(lambda: classify(exc))  # which reads attributes, and those may be code
    except (StepLimitError, ForeignExitError):
        return ErrorCategory.UNKNOWN


def _program(raised: Captured) -> tuple[str, str | None]:
    """Return the file that the failure is in, and its text where that can be read.

    The parser names the file of a syntax error; any other failure is in the innermost frame of the program itself. The
    text is None where the file cannot be read or is larger than `_MAX_SOURCE`.
    """
    syntax, frame = raised["syntax"], program_frame(raised)
    filename = (syntax or frame or {"filename": "<string>"})["filename"]
    lines = linecache.getlines(filename)
    size = sum(map(len, lines))
    return filename, "".join(lines) if 0 < size <= _MAX_SOURCE else None


def _system() -> dict[str, Json]:
    """Return the facts of this process that failures depend on, such as the recursion limit."""
    return {
        "python_version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": sys.platform,
        "recursion_limit": sys.getrecursionlimit(),
        "threads": threading.active_count(),
    }
