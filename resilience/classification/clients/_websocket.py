"""Categories of WebSocket close codes (RFC 6455, 7.4), for every client and server that has them.

1000 and 1001 are how a conversation ends, and 1005 is a close frame without a code: nothing has failed, and nothing is
to be tried again. Codes from 4000 on mean what each application says, and are DEPENDENCY.
"""

from __future__ import annotations

from collections.abc import Callable

from resilience._safe_access import int_attribute, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification.match import Match

__all__ = ["by_close_code", "category_of_close"]

_CODES: dict[int, C] = {
    **dict.fromkeys((1000, 1001, 1005), C.CANCELLED),
    1006: C.NETWORK,  # no close frame came
    **dict.fromkeys((1002, 1003, 1007, 1010), C.DEPENDENCY),  # the two sides do not speak the same protocol
    1008: C.AUTHORIZATION,  # a policy
    1009: C.VALIDATION,  # a message too big
    1011: C.SERVER_ERROR,
    **dict.fromkeys((1012, 1013, 1014), C.UNAVAILABLE),  # restart, overload, a gateway
    1015: C.CONFIGURATION,  # TLS
}


def category_of_close(code: int | None) -> C:
    """Return the leaf for a close code; NETWORK without one, DEPENDENCY for the codes of applications.

    >>> category_of_close(1000).label, category_of_close(1013).label, category_of_close(None).label
    ('cancelled', 'unavailable', 'network')
    """
    return C.NETWORK if code is None else _CODES.get(code, C.DEPENDENCY)


def by_close_code(*path: str) -> Callable[[BaseException], Match]:
    """Return a row: the category of the close code in the attribute that *path* leads to."""

    def row(exc: BaseException) -> Match:
        holder: object = exc
        for name in path[:-1]:
            holder = safe_getattr(holder, name)
        code = int_attribute(holder, path[-1])
        return Match(category_of_close(code), f"WebSocket close code {code}")

    return row
