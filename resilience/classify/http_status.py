"""What an HTTP status says about the failure."""

from __future__ import annotations

from resilience.category import ErrorCategory

__all__ = ["category_of_status"]

_C = ErrorCategory
_BY_STATUS: dict[int, ErrorCategory] = {
    401: _C.AUTHENTICATION,
    402: _C.AUTHORIZATION,
    403: _C.AUTHORIZATION,
    404: _C.NOT_FOUND,
    408: _C.TIMEOUT,
    409: _C.CONFLICT,
    410: _C.NOT_FOUND,
    412: _C.CONFLICT,
    423: _C.CONFLICT,
    425: _C.UNAVAILABLE,
    429: _C.RATE_LIMIT,
    499: _C.CANCELLED,
    501: _C.CONFIGURATION,
    502: _C.UNAVAILABLE,
    503: _C.UNAVAILABLE,
    504: _C.TIMEOUT,
    505: _C.CONFIGURATION,
    507: _C.CAPACITY,
    **dict.fromkeys(range(520, 528), _C.UNAVAILABLE),  # the edge could not reach its origin
    529: _C.UNAVAILABLE,  # overloaded
}


def category_of_status(status: int) -> ErrorCategory:
    """Return the leaf for an HTTP status; UNKNOWN for one that is no error.

    >>> category_of_status(503).label
    'unavailable'
    >>> category_of_status(418).label
    'validation'
    """
    found = _BY_STATUS.get(status)
    if found is not None:
        return found
    if 400 <= status <= 499:
        return _C.VALIDATION
    return _C.SERVER_ERROR if 500 <= status <= 599 else _C.UNKNOWN
