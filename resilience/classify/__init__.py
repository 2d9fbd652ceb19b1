"""Classification: from an exception to its `ErrorCategory`, by which every policy decides.

`classify` answers, `explain` says why, `retry_after` reads how long the server asks to wait. An application adds what
it knows by `register` (a class or a predicate of its own) and `register_library` (the tables of a client library).

No client library is imported, and none has to be installed: exceptions are recognised by the names of their classes,
by the attributes they carry, and by Python's own classes. An exception that cannot be examined is UNKNOWN; nothing
here raises in place of the failure at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.rooms import open_rooms

if TYPE_CHECKING:
    from resilience.category import ErrorCategory
    from resilience.classify.aws_code import category_of_aws
    from resilience.classify.decide import Explanation, Rule, categories_of, explain
    from resilience.classify.grpc_status import category_of_grpc
    from resilience.classify.hint import retry_after
    from resilience.classify.http_status import category_of_status
    from resilience.classify.libraries import register_library
    from resilience.classify.library import ClientLibrary, PriorRequests
    from resilience.classify.look import Match
    from resilience.classify.registry import Registration, register
    from resilience.classify.spoken import explain_text
    from resilience.classify.sqlstate import category_of_sqlstate

__all__ = [
    "ClientLibrary",
    "Explanation",
    "Match",
    "PriorRequests",
    "Registration",
    "Rule",
    "categories_of",
    "category_of_aws",
    "category_of_grpc",
    "category_of_sqlstate",
    "category_of_status",
    "classify",
    "explain",
    "explain_text",
    "register",
    "register_library",
    "retry_after",
]

# Imported when first asked for; policies import the modules themselves.
_ROOMS = {
    "ClientLibrary": "library",
    "Explanation": "decide",
    "Match": "look",
    "PriorRequests": "library",
    "Registration": "registry",
    "Rule": "decide",
    "categories_of": "decide",
    "category_of_aws": "aws_code",
    "category_of_grpc": "grpc_status",
    "category_of_sqlstate": "sqlstate",
    "category_of_status": "http_status",
    "explain": "decide",
    "explain_text": "spoken",
    "register": "registry",
    "register_library": "libraries",
    "retry_after": "hint",
}


def classify(exc: BaseException) -> ErrorCategory:
    """Return the leaf category of an exception. Never raises.

    Asked in this order: what the application registered, `exc.category`, the tables of client libraries, the status
    or code the exception carries, Python's own classes. UNKNOWN is the answer of none. `explain` says which answered.

    Cancellation, Ctrl-C and anything else that is no `Exception` is CANCELLED; policies never ask about it. An
    exception group is as recoverable as its least recoverable member.

    >>> classify(ConnectionResetError()).label
    'network'
    >>> classify(ValueError("who knows")).label
    'unknown'
    """
    # A function here and not a name of `_ROOMS`: `resilience.classify` must be callable as soon as it is imported,
    # and stay so when the package of the same name is.
    from resilience.classify import decide

    return decide.classify(exc)


open_rooms(__name__, _ROOMS)
