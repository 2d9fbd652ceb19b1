"""Categories of gRPC statuses, by name (google.rpc.Code).

RESOURCE_EXHAUSTED is used for quotas and for load alike, and is RATE_LIMIT, since the server may say when to come
back. A message that is larger than a limit of the client or of the server has the same status, and is VALIDATION.
UNKNOWN is what a server answers whose handler has raised, and tells nothing of the failure.
"""

from __future__ import annotations

import re

from resilience.categories import ErrorCategory

__all__ = ["GRPC_STATUS", "category_of_grpc"]

_C = ErrorCategory
GRPC_STATUS: dict[str, ErrorCategory] = {
    "CANCELLED": _C.CANCELLED,
    "UNKNOWN": _C.UNKNOWN,
    "INVALID_ARGUMENT": _C.VALIDATION,
    "DEADLINE_EXCEEDED": _C.TIMEOUT,
    "NOT_FOUND": _C.NOT_FOUND,
    "ALREADY_EXISTS": _C.CONFLICT,
    "PERMISSION_DENIED": _C.AUTHORIZATION,
    "RESOURCE_EXHAUSTED": _C.RATE_LIMIT,
    "FAILED_PRECONDITION": _C.CONFLICT,  # the state of the server is in the way; not retried as it is
    "ABORTED": _C.CONFLICT,  # retry what surrounds the call (the transaction), not the call
    "OUT_OF_RANGE": _C.VALIDATION,
    "UNIMPLEMENTED": _C.CONFIGURATION,
    "INTERNAL": _C.SERVER_ERROR,
    "UNAVAILABLE": _C.UNAVAILABLE,
    "DATA_LOSS": _C.DEPENDENCY,
    "UNAUTHENTICATED": _C.AUTHENTICATION,
}

_TOO_LARGE = re.compile(r"message (?:.{0,60} )?(?:larger than|exceeds (?:the )?maximum)")
"""How gRPC itself, in C, Go, Java, .NET and Node, says in the details that a message is too large."""


def category_of_grpc(status: str, details: str = "") -> ErrorCategory:
    """Return the leaf for the name of a gRPC status; UNKNOWN for OK and for names gRPC does not have.

    The *details* matter for RESOURCE_EXHAUSTED only: a message that is too large is too large at the next attempt too.

    >>> category_of_grpc("DEADLINE_EXCEEDED").label
    'timeout'
    >>> category_of_grpc("RESOURCE_EXHAUSTED", "Received message larger than max (5308389 vs. 4194304)").label
    'validation'
    """
    name = status.upper()
    if name == "RESOURCE_EXHAUSTED" and _TOO_LARGE.search(details):
        return _C.VALIDATION
    return GRPC_STATUS.get(name, _C.UNKNOWN)
