"""Categories of HTTP statuses (RFC 9110, and what servers and gateways use beside it).

A gateway's own statuses say that its upstream was not reached or did not answer in time: 502 and 503 are UNAVAILABLE,
504 is TIMEOUT, and 520 to 527 are those of Cloudflare's edge. 529 is how model servers say that they are overloaded,
499 how nginx logs a client that has gone, 420 an
older way to say 429. A status that is not listed is VALIDATION from 400 on, SERVER_ERROR from 500.
"""

from __future__ import annotations

from resilience.categories import ErrorCategory

__all__ = ["category_of_status"]

_C = ErrorCategory
_BY_STATUS: dict[int, ErrorCategory] = {
    **dict.fromkeys(range(400, 500), _C.VALIDATION),
    **dict.fromkeys(range(500, 600), _C.SERVER_ERROR),
    401: _C.AUTHENTICATION,
    402: _C.AUTHORIZATION,
    403: _C.AUTHORIZATION,
    404: _C.NOT_FOUND,
    408: _C.TIMEOUT,
    409: _C.CONFLICT,
    410: _C.NOT_FOUND,
    412: _C.CONFLICT,
    420: _C.RATE_LIMIT,
    421: _C.UNAVAILABLE,  # not the right server: another connection may reach it (RFC 9110, 15.5.20)
    423: _C.CONFLICT,
    424: _C.DEPENDENCY,  # another operation, on which this one depends, has failed
    425: _C.UNAVAILABLE,
    429: _C.RATE_LIMIT,
    449: _C.UNAVAILABLE,  # Azure Cosmos DB: retry with
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
    return _BY_STATUS.get(status, _C.UNKNOWN)
