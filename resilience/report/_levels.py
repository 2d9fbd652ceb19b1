"""The report as JSON, in four levels of detail.

Each level includes the one before it: 1 is a summary, 2 adds location, calls and cause, 3 adds variables, advice and
partial results, 4 adds the state of the system. `_level_fields` has the keys of the details, `schema` describes the
result. Texts are redacted already; here they are only arranged. A key of a level is always there, with null where
nothing is known, so that its reader need not test for it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from resilience.categories import ErrorCategory
from resilience.errors._json_safe import Json
from resilience.report._level_fields import detail_keys
from resilience.report.model import (
    ErrorReport,
    ExceptionInfo,
    ExecutionContext,
    RecoveryOption,
    SourceLine,
    TracebackFrame,
)

__all__ = ["exception_dict", "format_timestamp", "report_dict"]

T = TypeVar("T")

_SUMMARY, _TECHNICAL, _CONTEXT, _SYSTEM = 1, 2, 3, 4


def report_dict(report: ErrorReport, level: int) -> dict[str, Json]:
    """Return a report in the detail of *level*, 1 to 4. Raises ValueError for any other level.

    ``success`` is false in every report, so that a caller that gets results and reports alike can tell them apart.
    """
    if level not in (_SUMMARY, _TECHNICAL, _CONTEXT, _SYSTEM):
        raise ValueError(f"level={level!r}: give 1 (summary), 2 (technical), 3 (with context) or 4 (with the system)")
    found: dict[str, Json] = {
        "success": False,
        "error_category": report.category.label,
        "error_summary": report.error_summary,
        "error_details": _details(report, level),
        "timestamp": format_timestamp(report.timestamp),
    }
    if level >= _TECHNICAL:
        found["filename"] = report.filename
        found["code_snippet"] = _snippet(report.excerpt)
        found["specifics"] = _rest(report)
        found["exception_info"] = _optional(lambda info: exception_dict(info, level), report.exception)
    if level >= _CONTEXT:
        found["partial_results"] = _optional(dict, report.partial_results)
        found["recovery_options"] = [_option(option) for option in report.recovery_options]
        found["security_violation"] = _optional(dict, report.security_violation)
    if level >= _SYSTEM:
        found["system_state"] = dict(report.system_state)
    return found


def format_timestamp(timestamp: datetime.datetime) -> str:
    """Return a time in the format of reports: UTC, in whole seconds, with ``Z`` at its end.

    >>> format_timestamp(datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC))
    '2026-01-01T12:00:00Z'
    """
    return timestamp.astimezone(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def exception_dict(info: ExceptionInfo, level: int) -> dict[str, Json]:
    """Return an exception, with its cause and members, in the detail of *level*, which is 2 or more.

    Variables and advice come with level 3, the variables of the module with level 4.
    """
    found: dict[str, Json] = {
        "type": info.type,
        "message": info.message,
        "traceback": [_frame(frame, level) for frame in info.traceback],
        "full_traceback": info.full_traceback,
        "frames_dropped": info.frames_dropped,
        "notes": _texts(info.notes),
        "relation": info.relation,
        "cause": _optional(lambda cause: exception_dict(cause, level), info.cause),
        "members": [exception_dict(member, level) for member in info.members],
    }
    if level >= _CONTEXT:
        found["local_variables"] = dict(info.local_variables)
        found["context"] = info.context
        found["suggestions"] = _texts(info.suggestions)
    if level >= _SYSTEM:
        found["global_variables"] = dict(info.global_variables)
    return found


def _optional(convert: Callable[[T], dict[str, Json]], value: T | None) -> dict[str, Json] | None:
    """Convert a value that may be None; None stays null in the JSON."""
    if value is None:
        return None
    return convert(value)


def _frame(frame: TracebackFrame, level: int) -> dict[str, Json]:
    found: dict[str, Json] = {
        "filename": frame.filename,
        "line_number": frame.line_number,
        "function_name": frame.function_name,
        "code_line": frame.code_line,
    }
    if level >= _CONTEXT:
        found["local_vars"] = dict(frame.local_vars)
    if level >= _SYSTEM:
        found["column_number"] = frame.column_number
        found["end_line_number"] = frame.end_line_number
        found["end_column_number"] = frame.end_column_number
    return found


def _details(report: ErrorReport, level: int) -> dict[str, Json]:
    """Return the ``error_details``: the keys that the category has at *level*, in the order of `_level_fields`."""
    context = report.execution_context
    known: dict[str, Json] = {
        **report.specifics,
        "error_type": report.error_type,
        "error_message": report.error_message,
        "line_number": report.line_number,
        "column_number": report.column_number,
        "context": report.context,
        "suggestions": _texts(report.suggestions),
        "immediate_cause": report.immediate_cause,
        "contributing_factors": _texts(report.contributing_factors),
        "execution_context": _optional(_context, context),
        **_of_category(report),
    }
    return {key: known.get(key) for key in detail_keys(report.category, level)}


def _of_category(report: ErrorReport) -> dict[str, Json]:
    """Return the details that come from other fields of the report, for the categories that have such details."""
    if report.category is ErrorCategory.SYNTAX:
        return {"problematic_code": report.code_line}
    if report.category is ErrorCategory.RUNTIME:
        return {"function_name": report.function_name, "local_variables": dict(report.local_variables)}
    return {}


def _rest(report: ErrorReport) -> dict[str, Json]:
    """Return the facts of this failure that are not among the details of its category."""
    shown = detail_keys(report.category, _SYSTEM)
    return {key: value for key, value in report.specifics.items() if key not in shown}


def _context(context: ExecutionContext) -> dict[str, Json]:
    return {
        "variables_in_scope": _texts(context.variables_in_scope),
        "last_successful_line": context.last_successful_line,
        "execution_path": _texts(context.execution_path),
    }


def _snippet(excerpt: Iterable[SourceLine]) -> list[Json]:
    return [{"line_number": line.line_number, "code": line.code} for line in excerpt]


def _option(option: RecoveryOption) -> dict[str, Json]:
    found: dict[str, Json] = {"option": option.kind, "description": option.description}
    if option.kind == "fix_and_retry":
        found["suggested_fix"] = option.suggested_fix
    if option.code_snippet is not None:
        found["code_snippet"] = option.code_snippet
    if option.next_steps:
        found["next_steps"] = _texts(option.next_steps)
    return found


def _texts(texts: Iterable[str]) -> list[Json]:
    return cast("list[Json]", list(texts))
