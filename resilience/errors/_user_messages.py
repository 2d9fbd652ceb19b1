"""Sentences for users: one for each category. They say what to do and reveal nothing of the implementation.

An application shows them in place of an error's message, which may hold names of hosts, tables and people. An error
class with something better to say declares a ``user_message`` of its own.
"""

from __future__ import annotations

import re
from typing import Final

from resilience.categories import ErrorCategory

__all__ = ["USER_MESSAGES", "leaf_of", "title_of"]

_C = ErrorCategory

USER_MESSAGES: Final[dict[ErrorCategory, str]] = {
    _C.TIMEOUT: "This took too long. Please try again.",
    _C.NETWORK: "A service could not be reached. Please try again.",
    _C.RATE_LIMIT: "There were too many requests. Please wait a moment, then try again.",
    _C.UNAVAILABLE: "The service is not available at the moment. Please try again later.",
    _C.SERVER_ERROR: "A service has failed. Please try again later.",
    _C.DEPENDENCY: "A service this depends on does not work at the moment.",
    _C.REJECTED: "The service is busy at the moment. Please try again later.",
    _C.CAPACITY: "There is no capacity left for this at the moment.",
    _C.AUTHENTICATION: "Please sign in again.",
    _C.AUTHORIZATION: "You are not allowed to do this.",
    _C.VALIDATION: "The request is not valid. Please correct it.",
    _C.NOT_FOUND: "What you asked for was not found.",
    _C.CONFLICT: "This conflicts with something that has changed meanwhile.",
    _C.CONFIGURATION: "The service is not set up correctly. Please contact its operator.",
    _C.SYNTAX: "The code is not valid.",
    _C.RUNTIME: "The code failed while it ran.",
    _C.IMPORT: "The code needs a module that is not there.",
    _C.GENERATION: "No valid code could be generated.",
    _C.MEMORY: "The code needs more memory than it may use.",
    _C.SECURITY: "This is not permitted.",
    _C.EXECUTION_TIMEOUT: "The code ran for longer than it may.",
    _C.EXHAUSTED: "This was tried several times and did not work.",
    _C.APPROVAL: "This needs an approval first.",
    _C.CANCELLED: "This was cancelled.",
    _C.INTERNAL: "An internal error occurred.",
    _C.UNKNOWN: "An unexpected error occurred.",
}

# For errors that declare no more than a group, as executors of code do.
_REPRESENTATIVES: Final = {
    _C.TRANSIENT.value: _C.NETWORK,
    _C.INFRASTRUCTURE.value: _C.NETWORK,
    _C.CODE_RELATED.value: _C.RUNTIME,
    _C.WORKFLOW.value: _C.INTERNAL,
}
_WORD_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def leaf_of(category: object) -> ErrorCategory:
    """Return the leaf that represents a category: itself, one leaf of a group, UNKNOWN for anything else.

    >>> leaf_of(ErrorCategory.CODE_RELATED).label
    'runtime_error'
    """
    if type(category) is not ErrorCategory or not category:
        return _C.UNKNOWN
    if category.value.bit_count() == 1:
        return category
    return _REPRESENTATIVES.get(category.value) or next(iter(category))


def title_of(kind: type) -> str:
    """Return the name of an exception class in words, for the title of a problem document.

    >>> class HTTPStockLockedError(Exception): ...
    >>> title_of(HTTPStockLockedError)
    'HTTP stock locked'
    """
    name = kind.__name__
    for ending in ("Error", "Exception"):
        name = name.removesuffix(ending) or name
    first, *others = _WORD_BOUNDARY.sub(" ", name.strip("_")).split() or [name]
    return " ".join([first, *map(_lower_unless_acronym, others)])


def _lower_unless_acronym(word: str) -> str:
    if word.isupper():
        return word
    return word.lower()
