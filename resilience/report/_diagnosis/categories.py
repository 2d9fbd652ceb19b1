"""Diagnosis by category alone: the last resort, with a row for each category.

It is reached by failures whose class, message and cause no other module recognises, so it must always answer. The rows
say what holds for every failure of the category. For faults of code the message is the cause, as the row could only
repeat the category; for others it follows the row in parentheses.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from resilience.categories import ErrorCategory
from resilience.report._diagnosis.context import FailureContext
from resilience.report._diagnosis.text import single_line
from resilience.report._diagnosis.variable_origins import variable_factors
from resilience.report.diagnosis import Diagnosis

__all__ = ["diagnose_by_category"]

_C = ErrorCategory
_MAX_VARIABLES = 3
_ROWS: dict[ErrorCategory, tuple[str, tuple[str, ...]]] = {
    _C.TIMEOUT: (
        "the server did not answer in time",
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
        "the service failed with an internal error",
        (
            "Try again if the call may happen twice.",
            "Report it to the operators of the service, with the time and the request.",
        ),
    ),
    _C.DEPENDENCY: (
        "something the program depends on failed",
        ("Use another service or an earlier result in its place.", "Look at the log of the dependency."),
    ),
    _C.REJECTED: (
        "the call was not made: a circuit is open, or too many calls run already",
        ("Wait until calls are admitted again, as retry_after says.", "Look at why the earlier calls failed."),
    ),
    _C.CAPACITY: (
        "a resource is used up: memory, disk, files or connections",
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
        "the caller may not do this",
        ("Ask the owner of the resource for the permission.", "Use what is allowed: another file, table or account."),
    ),
    _C.VALIDATION: (
        "the input is not valid",
        (
            "Correct the value the message names; the same call will fail again.",
            "Check type, format and range of the input before the call.",
        ),
    ),
    _C.NOT_FOUND: (
        "the requested thing does not exist",
        ("Check the name, path or number for its spelling.", "Create it first, or list what exists."),
    ),
    _C.CONFLICT: (
        "it exists already, or was changed meanwhile",
        ("Read the current state, and repeat the change on that.", "Choose another name."),
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
        ("Use what the policy allows.", "If it is needed, run the code at a higher security level."),
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
    _C.APPROVAL: ("it has not been approved", ("Ask for approval, then run it again.",)),
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
# Failures that the arguments of a call can cause. Those of a service or a network have other causes.
_OF_ARGUMENTS = _OF_CODE | _C.VALIDATION | _C.NOT_FOUND | _C.CONFLICT | _C.CONFIGURATION


def diagnose_by_category(context: FailureContext) -> Diagnosis:
    """Say what holds for every failure of this category, with the facts of this one. It always has a suggestion.

    A failure without a known category is diagnosed as `UNKNOWN`.

    >>> from resilience.report.failure import Failure
    >>> failure = Failure(category=ErrorCategory.RATE_LIMIT, error_type="QuotaError", message="slow down")
    >>> diagnose_by_category(FailureContext(failure)).immediate_cause
    'there were more calls than the service takes (slow down)'
    """
    category = context.failure.category
    if not isinstance(category, ErrorCategory):
        category = _C.UNKNOWN
    cause, tips = _ROWS.get(category, _ROWS[_C.UNKNOWN])
    message = single_line(context.message, 200)
    if message and category in _OF_CODE:
        cause = ": ".join(filter(None, [context.type, message]))
    elif message:
        cause = f"{cause} ({message})"
    return Diagnosis(
        immediate_cause=cause,
        contributing_factors=tuple(variable_factors(context)),
        suggestions=(*_advice_on_place(context, category), *tips),
    )


def _advice_on_place(context: FailureContext, category: ErrorCategory) -> Iterator[str]:
    """Point to the failing line where the code is at fault, and to a library's function whose arguments may be.

    The failing line is shown with at most `_MAX_VARIABLES` of the variables in it. A failure of a service or a network
    points to no line: its cause is not in the program.
    """
    if category in _OF_CODE and context.line:
        place = f"Look at line {context.line}"
        variables = [name for name in context.frame.locals if name in context.frame.code][:_MAX_VARIABLES]
        if variables:
            place += f" and print {', '.join(variables)} before it"
        yield f"{place}: {single_line(context.code, 80)}" if context.code else f"{place}."
    if context.library_function and category in _OF_ARGUMENTS:
        called = context.library_function
        if isinstance(context.expression, ast.Call):  # as the program calls it: a class, not its __init__
            called = single_line(ast.unparse(context.expression.func), 60)
        yield f"Check the arguments of {called}(), which raised it inside a library."
