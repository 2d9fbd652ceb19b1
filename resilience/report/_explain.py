"""From what is known of a failure to its report."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from resilience.categories import ErrorCategory
from resilience.clock import current_clock
from resilience.errors._json_safe import Json
from resilience.report._diagnosis import diagnose
from resilience.report._location import Place, own_frame, place_of
from resilience.report._path_redaction import short_name
from resilience.report._recovery import partial_results, recovery_options
from resilience.report._redaction import Redaction
from resilience.report.captured_exception import Captured, CapturedFrame
from resilience.report.diagnosis import Diagnosis
from resilience.report.failure import Failure
from resilience.report.model import ErrorReport, ExceptionInfo, ExecutionContext, SourceLine, TracebackFrame

__all__ = ["explain"]

_MOST_NAMES = 100
_MOST_SUMMARY = 200
# What is said in the summary instead of a message that says no more.
_SHORT = {"NameError": "undefined variable", "UnboundLocalError": "variable used before it has a value"}


def explain(failure: Failure) -> ErrorReport:
    """Return the report of a failure: where, why, what to do, and what worked.

    What comes back holds no values under secret names, no credentials of the usual forms and no paths of the host
    outside of the program, whatever *failure* holds.

    >>> report = explain(Failure(category=ErrorCategory.MEMORY, error_type="MemoryError", message="too much", line=3))
    >>> report.error_summary, bool(report.suggestions)
    ('MemoryError on line 3: too much', True)
    """
    diagnosis = diagnose(failure)
    place = place_of(failure)
    clean = Redaction(_sources(failure, place), _messages(failure))
    message = clean.text(failure.message)
    suggestions = tuple(clean.code(each) for each in diagnosis.suggestions)
    local_variables = clean.mapping(place.variables)
    return ErrorReport(
        category=failure.category,
        error_type=failure.error_type,
        error_message=message,
        error_summary=_summary(failure, place, message),
        timestamp=failure.timestamp or _now(),
        exception=_exception(failure, diagnosis, local_variables, clean),
        filename=None if place.filename is None else short_name(place.filename),
        line_number=place.line,
        column_number=place.column,
        end_column_number=place.end_column if place.end_line in (None, place.line) else None,
        code_line=clean.code(place.code),
        function_name=place.function,
        context=clean.code(diagnosis.context),
        immediate_cause=clean.text(diagnosis.immediate_cause),
        contributing_factors=tuple(clean.code(each) for each in diagnosis.contributing_factors),
        suggestions=suggestions,
        suggested_fix=None if diagnosis.suggested_fix is None else clean.code(diagnosis.suggested_fix),
        local_variables=local_variables,
        excerpt=tuple(SourceLine(line.line_number, clean.code(line.code)) for line in place.excerpt),
        specifics=clean.mapping(_specifics(failure, diagnosis, place)),
        execution_context=_context(failure, place),
        partial_results=partial_results(failure.progress, clean),
        recovery_options=recovery_options(failure, diagnosis, place, clean),
        security_violation=_violation(failure, clean),
        system_state=clean.mapping(failure.system),
    )


def _now() -> datetime.datetime:
    return datetime.datetime.fromtimestamp(current_clock().wall(), datetime.UTC)


def _sources(failure: Failure, place: Place) -> list[str]:
    """Return the texts in which secrets stand as literals."""
    shown = [line.code for line in place.excerpt]
    if failure.exception is not None:
        shown += [frame["code"] for frame in failure.exception["frames"]]
    return [failure.source or "", *shown]


def _messages(failure: Failure) -> list[str]:
    """Return what the exceptions say: it is quoted in what is found out of them."""
    found = [failure.message]
    waiting = [failure.exception]
    while waiting:
        raised = waiting.pop()
        if raised is not None:
            found += raised["message"], *raised["notes"]
            waiting += raised["cause"], *raised["members"]
    return found


def _summary(failure: Failure, place: Place, message: str) -> str:
    where = f" on line {place.line}" if place.line is not None else ""
    first = _SHORT.get(failure.error_type) or message.strip().partition("\n")[0][:_MOST_SUMMARY]
    return f"{failure.error_type}{where}: {first}" if first else f"{failure.error_type}{where}"


def _exception(
    failure: Failure, diagnosis: Diagnosis, local_variables: Mapping[str, Json], clean: Redaction
) -> ExceptionInfo | None:
    raised = failure.exception
    if raised is None:
        return None
    return _info(
        raised,
        clean,
        local_variables,
        context=clean.code(diagnosis.context),
        suggestions=tuple(clean.code(each) for each in diagnosis.suggestions),
    )


def _info(
    raised: Captured,
    clean: Redaction,
    local_variables: Mapping[str, Json],
    context: str = "",
    suggestions: tuple[str, ...] = (),
) -> ExceptionInfo:
    cause = raised["cause"]
    return ExceptionInfo(
        type=raised["type"],
        message=clean.text(raised["message"]),
        traceback=tuple(_frame(frame, clean) for frame in raised["frames"]),
        full_traceback=clean.traceback(raised["traceback"]),
        local_variables=local_variables,
        global_variables=clean.mapping(raised["globals"]),
        context=context,
        suggestions=suggestions,
        notes=tuple(clean.text(note) for note in raised["notes"]),
        cause=None if cause is None else _info(cause, clean, _locals_of(cause, clean)),
        relation=raised["relation"],
        members=tuple(_info(member, clean, _locals_of(member, clean)) for member in raised["members"]),
        frames_dropped=raised["frames_dropped"],
    )


def _locals_of(raised: Captured, clean: Redaction) -> dict[str, Json]:
    frame = own_frame(raised)
    return {} if frame is None else clean.mapping(frame["locals"])


def _frame(frame: CapturedFrame, clean: Redaction) -> TracebackFrame:
    return TracebackFrame(
        filename=short_name(frame["filename"]),
        line_number=frame["line"],
        function_name=frame["function"],
        code_line=clean.code(frame["code"]),
        local_vars=clean.mapping(frame["locals"]),
        column_number=frame["column"],
        end_line_number=frame["end_line"],
        end_column_number=frame["end_column"],
    )


def _specifics(failure: Failure, diagnosis: Diagnosis, place: Place) -> dict[str, Json]:
    """Return what belongs to failures of this category: what was given counts more than what was derived."""
    derived: dict[str, Json] = {}
    raised, violation, progress = failure.exception, failure.violation, failure.progress
    if violation is not None:
        derived["violation_type"] = violation.kind
        derived["attempted_action"] = violation.blocked_code or violation.attempted_operation
    if failure.category is ErrorCategory.EXECUTION_TIMEOUT:
        derived["last_executed_line"] = place.line or (progress.path[-1] if progress and progress.path else None)
        derived["partial_output"] = progress.stdout if progress is not None else ""
    if failure.category is ErrorCategory.IMPORT and raised is not None:
        derived["attempted_import"] = raised["hints"].get("from") or raised["hints"].get("name")
    if raised is not None and raised["code"] is not None:
        derived["error_code"] = raised["code"]
    return {**derived, **diagnosis.specifics, **failure.specifics}


def _context(failure: Failure, place: Place) -> ExecutionContext:
    raised, progress = failure.exception, failure.progress
    names = dict.fromkeys(name for name in place.variables if name != "...")
    if progress is not None:
        names.update(dict.fromkeys(progress.variables))
    if raised is not None:
        names.update(dict.fromkeys(name for name in raised["globals"] if name != "..."))
    return ExecutionContext(
        variables_in_scope=tuple(names)[:_MOST_NAMES],
        last_successful_line=progress.last_successful_line if progress is not None else None,
        execution_path=_path(failure, place),
    )


def _path(failure: Failure, place: Place) -> tuple[str, ...]:
    """Return the lines that were reached, the one that failed last; without a record of them, the calls."""
    progress, raised = failure.progress, failure.exception
    if progress is not None and progress.path:
        lines = list(progress.path)
        if place.line is not None and lines[-1] != place.line:
            lines.append(place.line)
        return (*(f"line {line}" for line in lines[:-1]), f"line {lines[-1]} (failed)")
    if raised is not None and raised["frames"]:
        calls = [f"{short_name(frame['filename'])} line {frame['line']}" for frame in raised["frames"]]
        return (*calls[:-1], f"{calls[-1]} (failed)")
    return (f"line {place.line} (failed)",) if place.line is not None else ()


def _violation(failure: Failure, clean: Redaction) -> dict[str, Json] | None:
    violation = failure.violation
    if violation is None:
        return None
    return {
        "attempted_operation": violation.attempted_operation,
        "blocked_code": clean.code(violation.blocked_code),
        "reason": clean.text(violation.reason),
        "alternative_approaches": [clean.text(each) for each in violation.alternatives],
    }
