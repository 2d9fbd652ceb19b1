"""Partial results of a failed program, and the options for what to do next.

The category of the failure decides which options there are: faulty code is corrected, a failed dependency waited for,
retried or replaced, as `resilience.profiles` says. Completed statements are offered as a runnable snippet, so that a
correction need not repeat them. Options are texts for the reader: nothing is run here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from resilience.categories import ErrorCategory, Recovery
from resilience.errors._json_safe import Json
from resilience.profiles import profile_for
from resilience.report._diagnosis.ast_utils import parsed
from resilience.report._location import Location
from resilience.report._redaction import Redaction
from resilience.report.diagnosis import Diagnosis
from resilience.report.failure import Failure, Progress
from resilience.report.model import RecoveryOption

__all__ = ["partial_results", "recovery_options"]

_MAX_OPERATIONS = 20
_MAX_LINE = 200
_MAX_WATCHED = 3
_WORD = re.compile(r"[^\W\d]\w*")

# What a program can be corrected for. INTERNAL and UNKNOWN are what most of Python's own exceptions are outside of an
# executor.
_OF_CODE = (
    ErrorCategory.CODE_RELATED
    | ErrorCategory.SECURITY
    | ErrorCategory.EXECUTION_TIMEOUT
    | ErrorCategory.INTERNAL
    | ErrorCategory.UNKNOWN
)

# The advice for each recovery; REGENERATE is to correct the code.
_MEANS: dict[Recovery, str] = {
    Recovery.RETRY: "Run the same code again after a short wait: a dependency failed, not the code.",
    Recovery.WAIT: "Wait before trying the same again: the limit is reached for now.",
    Recovery.FIX_INPUT: "Correct the input and try again.",
    Recovery.USE_ALTERNATIVE: "Use another way or another service: the same call will fail again.",
    Recovery.REAUTHENTICATE: "Renew the credentials, then try again.",
    Recovery.FIX_CONFIGURATION: "Correct the configuration: no retry will help.",
    Recovery.ESCALATE: "Ask a person to decide: it must not be retried automatically.",
    Recovery.GIVE_UP: "Do not try the same again.",
}


def partial_results(progress: Progress | None, redaction: Redaction) -> dict[str, Json] | None:
    """Return what a program had done before it failed; None where it was not recorded.

    Its keys are those of ``partial_results`` in the JSON report. ``successful_operations`` are the first lines of the
    completed statements.
    """
    if progress is None:
        return None
    return {
        "completed_lines": progress.completed_lines,
        "total_lines": progress.total_lines,
        "stdout_before_error": redaction.text(progress.stdout),
        "variables_before_error": redaction.mapping(progress.variables),
        "successful_operations": [redaction.code(operation) for operation in _operations(progress.snippet)],
    }


def _operations(snippet: str) -> list[str]:
    """Return the first line of each statement that was carried out, the last 20 of them, in their order."""
    tree = parsed(snippet)
    if tree is None:
        return []
    lines = snippet.splitlines()
    first = [lines[node.lineno - 1].strip()[:_MAX_LINE] for node in tree.body if node.lineno <= len(lines)]
    return first[-_MAX_OPERATIONS:]


def recovery_options(
    failure: Failure, diagnosis: Diagnosis, location: Location, redaction: Redaction
) -> tuple[RecoveryOption, ...]:
    """Return what can be done now, the most promising first.

    ``fix_and_retry`` for a failure of the code, else the recovery of the category, such as ``wait``;
    ``partial_execution`` where statements were completed; ``debug_mode`` where the line is known.
    """
    return tuple(_options(failure, diagnosis, location, redaction))


def _options(
    failure: Failure, diagnosis: Diagnosis, location: Location, redaction: Redaction
) -> Iterator[RecoveryOption]:
    """Yield the options in order; the line to be corrected may be above the one that failed, as *diagnosis* says."""
    if failure.category not in _OF_CODE:
        recovery = profile_for(failure.category).recovery
        yield RecoveryOption(recovery.value, _MEANS[recovery])
    else:
        line = diagnosis.specifics.get("root_cause_line") or location.line
        where = f"line {line}" if line is not None else "the code"
        yield RecoveryOption(
            "fix_and_retry",
            redaction.code(f"Correct {where} and run it again. {diagnosis.suggestions[0]}"),
            suggested_fix=None if diagnosis.suggested_fix is None else redaction.code(diagnosis.suggested_fix),
        )
    if failure.progress is not None and failure.progress.snippet.strip():
        yield RecoveryOption(
            "partial_execution",
            "Run only the statements that worked.",
            code_snippet=redaction.code(failure.progress.snippet),
        )
    if location.line is not None:
        yield RecoveryOption(
            "debug_mode",
            "Look closer at what happens before it fails.",
            next_steps=tuple(redaction.code(step) for step in _steps(failure, location)),
        )


def _steps(failure: Failure, location: Location) -> Iterator[str]:
    """Yield the steps of debugging: ``Print cart and type(cart) before line 3.``

    They name the variables, the line and the function of this failure; the last step is always about the failing line.
    """
    used = dict.fromkeys(name for name in _WORD.findall(location.code) if name in location.variables)
    for name in list(used)[:_MAX_WATCHED]:
        yield f"Print {name} and type({name}) before line {location.line}."
    if failure.progress is not None and failure.progress.last_successful_line is not None:
        last = failure.progress.last_successful_line
        yield f"Run the code up to line {last}, which worked, and look at its variables."
    if failure.category is ErrorCategory.EXECUTION_TIMEOUT:
        yield "Run it on a small part of the data, and count the rounds of each loop."
    if failure.category is ErrorCategory.SYNTAX:
        yield f"Read line {location.line} and the one before it: brackets, quotes and colons."
    elif location.function not in (None, "<module>"):
        yield f"Call {location.function}() alone, with the arguments it had."
    yield (
        f"Run line {location.line} alone with simple values: {location.code}"
        if location.code
        else f"Look at line {location.line}."
    )
