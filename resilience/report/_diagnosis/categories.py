"""What can be said of any failure by its category alone: there is advice for each of them."""

from __future__ import annotations

from resilience.categories import ErrorCategory
from resilience.report._diagnosis.context import FailureContext, Frame
from resilience.report._diagnosis.text import single_line
from resilience.report._diagnosis.variable_origins import variable_factors
from resilience.report.diagnosis import Diagnosis

__all__ = ["diagnose_by_category"]

_C = ErrorCategory
_ROWS: dict[ErrorCategory, tuple[str, tuple[str, ...]]] = {
    _C.TIMEOUT: (
        "the other side did not answer in time",
        (
            "Try again after a short wait; the same call may well succeed.",
            "Give it more time, or ask for less at once.",
        ),
    ),
    _C.NETWORK: (
        "the connection could not be made, or broke",
        ("Try again after a short wait.", "Check host, port and whether this machine may reach them."),
    ),
    _C.RATE_LIMIT: (
        "there were more calls than the service takes",
        (
            "Wait as long as the service says (Retry-After), then try again.",
            "Send fewer calls at a time, or several things in one call.",
        ),
    ),
    _C.UNAVAILABLE: (
        "the service is not available at the moment",
        ("Try again after a short wait.", "Use another service or an earlier result meanwhile."),
    ),
    _C.SERVER_ERROR: (
        "the service failed inside",
        ("Try again if the call may happen twice.", "Tell those who run the service, with the time and the request."),
    ),
    _C.DEPENDENCY: (
        "something the program depends on failed",
        ("Use another service or an earlier result in its place.", "Look at the log of what it depends on."),
    ),
    _C.REJECTED: (
        "the call was not made: a circuit is open, or too many calls run already",
        ("Wait until calls are admitted again, as retry_after says.", "Look at why the earlier calls failed."),
    ),
    _C.CAPACITY: (
        "there is no room left: memory, disk, files or connections",
        ("Release what is no longer needed, and close files and connections.", "Do less at once, or do it elsewhere."),
    ),
    _C.AUTHENTICATION: (
        "the service does not know who is calling",
        (
            "Sign in again, or renew the key or token.",
            "Check that the credentials are sent, and are those of this service.",
        ),
    ),
    _C.AUTHORIZATION: (
        "whoever calls may not do this",
        ("Ask somebody who may decide for the permission.", "Use what is allowed: another file, table or account."),
    ),
    _C.VALIDATION: (
        "what was given is not what is wanted",
        (
            "Correct the value the message names; the same call will fail again.",
            "Check type, format and range of what is given before the call.",
        ),
    ),
    _C.NOT_FOUND: (
        "what was asked for is not there",
        ("Check the name, path or number for its spelling.", "Make it first, or list what there is."),
    ),
    _C.CONFLICT: (
        "it exists already, or was changed meanwhile",
        ("Read the present state, and do it again on that.", "Choose another name."),
    ),
    _C.CONFIGURATION: (
        "a setting is missing or wrong",
        (
            "Correct the setting the message names, and start again.",
            "Check environment variables, ports and the versions of what is installed.",
        ),
    ),
    _C.SYNTAX: (
        "the code is no valid Python",
        ("Correct the line that the message names.", "Send the whole code again, without anything around it."),
    ),
    _C.RUNTIME: (
        "the code failed while it ran",
        (
            "Look at the line that failed, and at the values of its variables.",
            "Print the values right before that line.",
        ),
    ),
    _C.IMPORT: (
        "a module could not be imported",
        ("Check the name of the module.", "Use a module that is available, or do without it."),
    ),
    _C.GENERATION: (
        "the model wrote no usable code",
        ("Ask again, with this failure in the prompt.", "Ask for code alone, in a smaller step."),
    ),
    _C.MEMORY: (
        "the program needs more memory than it may have",
        ("Go through the data piece by piece.", "Raise the limit if all of it must be in memory at once."),
    ),
    _C.SECURITY: (
        "the code attempts something that is not allowed",
        ("Do it in a way that is allowed.", "Ask whoever runs the code for a higher level."),
    ),
    _C.EXECUTION_TIMEOUT: (
        "the program ran longer than it may",
        ("Make sure that every loop ends.", "Do less, or raise the limit."),
    ),
    _C.EXHAUSTED: (
        "all attempts failed",
        (
            "Look at the failure of the last attempt: that is the one to repair.",
            "Ask a person: trying the same again will not help.",
        ),
    ),
    _C.APPROVAL: ("nobody has approved it", ("Ask somebody who may approve it.",)),
    _C.CANCELLED: ("it was cancelled before it ended", ("Start it again if it is still wanted.",)),
    _C.INTERNAL: (
        "the program itself has a mistake",
        (
            "Look at the line that failed, and at the values of its variables.",
            "Print the values right before that line.",
        ),
    ),
    _C.UNKNOWN: (
        "nothing more is known of this kind of failure",
        (
            "Look at the line that failed, and at the values of its variables.",
            "Search the documentation of what raised it for the message.",
        ),
    ),
}
_OF_CODE = _C.CODE_RELATED | _C.INTERNAL | _C.UNKNOWN


def diagnose_by_category(context: FailureContext) -> Diagnosis:
    """Say what holds for every failure of this category, with the facts of this one."""
    category = context.failure.category if isinstance(context.failure.category, ErrorCategory) else _C.UNKNOWN
    cause, tips = _ROWS.get(category, _ROWS[_C.UNKNOWN])
    said = single_line(context.message, 200)
    given: list[str] = []
    if category in _OF_CODE and context.line:
        variables = [f"{name}" for name in _variables(context.frame)]
        watch = f" and print {', '.join(variables)} before it" if variables else ""
        given.append(
            f"Look at line {context.line}{watch}: {single_line(context.code, 80)}"
            if context.code
            else f"Look at line {context.line}{watch}."
        )
    if context.library_function:
        given.append(f"Check what is given to {context.library_function}(), which raised it inside a library.")
    called = f"{context.type}: " if context.type else ""
    return Diagnosis(
        immediate_cause=f"{called}{said}"
        if said and category in _OF_CODE
        else f"{cause}{f' ({said})' if said else ''}",
        contributing_factors=tuple(variable_factors(context)),
        suggestions=(*given, *tips),
    )


def _variables(frame: Frame) -> list[str]:
    return [name for name in frame.locals if name in frame.code][:3]
