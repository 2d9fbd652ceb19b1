"""Assembly of a report: diagnosis, location, recovery and redaction of one failure.

`diagnose` finds the cause, `locate_failure` the line, `recovery_options` the next steps; this module puts their answers
together and decides nothing about causes. It works on the plain values of a `Failure` and runs no code of the program.

Every text of the report goes through one `Redaction`, made here. A field that is added later must, too.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

from resilience.categories import ErrorCategory
from resilience.clock import current_clock
from resilience.errors._json_safe import Json
from resilience.report._diagnosis import diagnose
from resilience.report._location import Location, locate_failure, program_frame
from resilience.report._path_redaction import is_library, short_name
from resilience.report._recovery import partial_results, recovery_options
from resilience.report._redaction import Redaction
from resilience.report.captured_exception import Captured, CapturedFrame
from resilience.report.diagnosis import Diagnosis
from resilience.report.failure import Failure
from resilience.report.model import ErrorReport, ExceptionInfo, ExecutionContext, SourceLine, TracebackFrame

__all__ = ["explain"]

_MAX_NAMES = 100
_MAX_SUMMARY = 200
_MAX_STDERR = 4000
# The summary of failures whose message adds nothing.
_SHORT = {"NameError": "undefined variable", "UnboundLocalError": "variable used before it has a value"}


def explain(failure: Failure) -> ErrorReport:
    """Return the report of a failure: where, why, what to do, and what worked.

    What comes back holds no values under secret names, no credentials of the usual forms and no paths of the host
    outside of the program, whatever *failure* holds.

    *failure* may come from another process, and need not have an exception: a process that was killed gets a report,
    too.

    >>> report = explain(Failure(category=ErrorCategory.MEMORY, error_type="MemoryError", message="too much", line=3))
    >>> report.error_summary, bool(report.suggestions)
    ('MemoryError on line 3: too much', True)
    """
    diagnosis = diagnose(failure)
    location = locate_failure(failure)
    redaction = Redaction(_sources(failure, location), _messages(failure))
    message = redaction.text(failure.message)
    suggestions = tuple(redaction.code(each) for each in diagnosis.suggestions)
    local_variables = redaction.mapping(location.variables)
    return ErrorReport(
        category=failure.category,
        error_type=failure.error_type,
        error_message=message,
        error_summary=_summary(failure, location, message, diagnosis.suggested_fix),
        timestamp=failure.timestamp or _now(),
        exception=_exception(failure, diagnosis, local_variables, redaction),
        filename=None if location.filename is None else short_name(location.filename),
        line_number=location.line,
        column_number=location.column,
        end_column_number=location.end_column if location.end_line in (None, location.line) else None,
        code_line=redaction.code(location.code),
        function_name=location.function,
        context=redaction.code(diagnosis.context),
        immediate_cause=redaction.text(diagnosis.immediate_cause),
        contributing_factors=tuple(redaction.code(each) for each in diagnosis.contributing_factors),
        suggestions=suggestions,
        suggested_fix=None if diagnosis.suggested_fix is None else redaction.code(diagnosis.suggested_fix),
        local_variables=local_variables,
        excerpt=tuple(SourceLine(line.line_number, redaction.code(line.code)) for line in location.excerpt),
        specifics=redaction.mapping(_specifics(failure, diagnosis, location)),
        execution_context=_context(failure, location),
        partial_results=partial_results(failure.progress, redaction),
        stderr=redaction.text(failure.stderr[-_MAX_STDERR:]),
        recovery_options=recovery_options(failure, diagnosis, location, redaction),
        security_violation=_violation(failure, redaction),
        system_state=redaction.mapping(failure.system),
    )


def _now() -> datetime.datetime:
    return datetime.datetime.fromtimestamp(current_clock().wall(), datetime.UTC)


def _sources(failure: Failure, location: Location) -> list[str]:
    """Return the texts in which secrets stand as literals: the program, and the lines of it that are shown.

    The lines are searched as well, since the failure may be in a file other than the program's source.
    """
    shown = [line.code for line in location.excerpt]
    if failure.exception is not None:
        shown += [frame["code"] for frame in failure.exception["frames"]]
    return [failure.source or "", *shown]


def _messages(failure: Failure) -> list[str]:
    """Return the messages and notes of the exception, its causes and its members.

    Diagnosis quotes them, so a secret in one of them must be known before any text of the report is redacted.
    """
    found = [failure.message]
    waiting = [failure.exception]
    while waiting:
        raised = waiting.pop()
        if raised is not None:
            found += raised["message"], *raised["notes"]
            waiting += raised["cause"], *raised["members"]
    return found


PYTHONS_GUESS = re.compile(r"\. Did you mean '(?P<name>[^']+)'\?$")
"""What Python 3.13 adds to the message of a keyword that is not known: the name that looks most like it."""


def _summary(failure: Failure, location: Location, message: str, fix: str | None) -> str:
    """Return the type, the line and the message, without a guess of Python's own that the *fix* does not share.

    The result is like ``KeyError on line 3: 'lmap'``. Python 3.13 may add ``Did you mean 'x'?``; next to a corrected
    line with another name, the report would give two proposals.
    """
    where = ""
    if location.line is not None:
        where = f" on line {location.line}"
    first = _SHORT.get(failure.error_type) or message.strip().partition("\n")[0][:_MAX_SUMMARY]
    guess = PYTHONS_GUESS.search(first)
    if guess is not None and fix is not None and guess["name"] not in fix:
        first = first[: guess.start()]
    return f"{failure.error_type}{where}: {first}" if first else f"{failure.error_type}{where}"


def _exception(
    failure: Failure, diagnosis: Diagnosis, local_variables: Mapping[str, Json], redaction: Redaction
) -> ExceptionInfo | None:
    """Return the exception for the report, with the advice on it; None where no exception was raised.

    *local_variables* are those of the located frame, which need not be the innermost: a library may fail below it.
    """
    raised = failure.exception
    if raised is None:
        return None
    return _info(
        raised,
        redaction,
        local_variables,
        context=redaction.code(diagnosis.context),
        suggestions=tuple(redaction.code(each) for each in diagnosis.suggestions),
    )


def _info(
    raised: Captured,
    redaction: Redaction,
    local_variables: Mapping[str, Json],
    context: str = "",
    suggestions: tuple[str, ...] = (),
) -> ExceptionInfo:
    """Return one exception of the tree, redacted, with its cause and members.

    *context* and *suggestions* belong to the exception that was raised; the advice covers its causes and members.
    """
    cause = raised["cause"]
    return ExceptionInfo(
        type=raised["type"],
        message=redaction.text(raised["message"]),
        traceback=tuple(_frame(frame, redaction) for frame in raised["frames"]),
        full_traceback=redaction.traceback(raised["traceback"]),
        local_variables=local_variables,
        global_variables=redaction.mapping(raised["globals"]),
        context=context,
        suggestions=suggestions,
        notes=tuple(redaction.text(note) for note in raised["notes"]),
        cause=None if cause is None else _info(cause, redaction, _locals_of(cause, redaction)),
        relation=raised["relation"],
        members=tuple(_info(member, redaction, _locals_of(member, redaction)) for member in raised["members"]),
        frames_dropped=raised["frames_dropped"],
    )


def _locals_of(raised: Captured, redaction: Redaction) -> dict[str, Json]:
    """Return the variables of the innermost frame of the program itself, redacted."""
    frame = program_frame(raised)
    return {} if frame is None else redaction.mapping(frame["locals"])


def _frame(frame: CapturedFrame, redaction: Redaction) -> TracebackFrame:
    return TracebackFrame(
        filename=short_name(frame["filename"]),
        line_number=frame["line"],
        function_name=frame["function"],
        code_line=redaction.code(frame["code"]),
        local_vars=redaction.mapping(frame["locals"]),
        column_number=frame["column"],
        end_line_number=frame["end_line"],
        end_column_number=frame["end_column"],
        is_own=not is_library(frame["filename"]),
    )


def _specifics(failure: Failure, diagnosis: Diagnosis, location: Location) -> dict[str, Json]:
    """Return what belongs to failures of this category: what was given counts more than what was derived.

    The derived facts are named as `_level_fields` has them, for example ``last_executed_line`` of a time-out.
    """
    derived: dict[str, Json] = {}
    raised, violation, progress = failure.exception, failure.violation, failure.progress
    if violation is not None:
        derived["violation_type"] = violation.kind
        derived["attempted_action"] = violation.blocked_code or violation.attempted_operation
    if failure.category is ErrorCategory.EXECUTION_TIMEOUT:
        derived["last_executed_line"] = location.line or (progress.path[-1] if progress and progress.path else None)
        derived["partial_output"] = progress.stdout if progress is not None else ""
    if failure.category is ErrorCategory.IMPORT and raised is not None:
        derived["attempted_import"] = raised["hints"].get("from") or raised["hints"].get("name")
    if raised is not None and raised["code"] is not None:
        derived["error_code"] = raised["code"]
    return {**derived, **diagnosis.specifics, **failure.specifics}


def _context(failure: Failure, location: Location) -> ExecutionContext:
    """Return the names in scope, at most 100, and the lines that were run.

    Locals come first, then the variables that the executor recorded, then globals. ``...`` among the captured names
    marks those left out, and is no name.
    """
    raised, progress = failure.exception, failure.progress
    names = dict.fromkeys(name for name in location.variables if name != "...")
    if progress is not None:
        names.update(dict.fromkeys(progress.variables))
    if raised is not None:
        names.update(dict.fromkeys(name for name in raised["globals"] if name != "..."))
    return ExecutionContext(
        variables_in_scope=tuple(names)[:_MAX_NAMES],
        last_successful_line=progress.last_successful_line if progress is not None else None,
        execution_path=_path(failure, location),
    )


def _path(failure: Failure, location: Location) -> tuple[str, ...]:
    """Return the lines that were reached, the one that failed last; without a record of them, the calls.

    For example ``("line 1", "line 2", "line 3 (failed)")``, or ``("shop.py line 9", "shop.py line 4 (failed)")``.
    """
    progress, raised = failure.progress, failure.exception
    if progress is not None and progress.path:
        lines = list(progress.path)
        if location.line is not None and lines[-1] != location.line:
            lines.append(location.line)
        return (*(f"line {line}" for line in lines[:-1]), f"line {lines[-1]} (failed)")
    if raised is not None and raised["frames"]:
        calls = [f"{short_name(frame['filename'])} line {frame['line']}" for frame in raised["frames"]]
        return (*calls[:-1], f"{calls[-1]} (failed)")
    return (f"line {location.line} (failed)",) if location.line is not None else ()


def _violation(failure: Failure, redaction: Redaction) -> dict[str, Json] | None:
    """Return the forbidden operation under the keys of the JSON report; None for any other failure."""
    violation = failure.violation
    if violation is None:
        return None
    return {
        "attempted_operation": violation.attempted_operation,
        "blocked_code": redaction.code(violation.blocked_code),
        "reason": redaction.text(violation.reason),
        "alternative_approaches": [redaction.text(each) for each in violation.alternatives],
    }
