"""Categories of SMTP replies, for smtplib and aiosmtplib (RFC 5321, 4.2.1).

A reply of the form 4yz refuses for now, 5yz for good. They look like HTTP statuses and are none: 550 is a mailbox
that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from resilience._safe_access import int_attribute
from resilience.categories import ErrorCategory as C
from resilience.classification._precedence import least_recoverable
from resilience.classification.match import Match

__all__ = ["by_replies", "by_reply", "category_of_reply"]

_CLOSED = -1  # smtplib's own: the connection closed instead of a reply
_CODES: dict[int, C] = {
    _CLOSED: C.NETWORK,
    **dict.fromkeys(range(400, 500), C.UNAVAILABLE),
    **dict.fromkeys(range(500, 600), C.VALIDATION),
    **dict.fromkeys((500, 501, 502, 503, 504), C.CONFIGURATION),  # client and server do not speak the same SMTP
    **dict.fromkeys((530, 534, 535, 538), C.AUTHENTICATION),
    550: C.NOT_FOUND,
    551: C.NOT_FOUND,
    552: C.CAPACITY,
}


def category_of_reply(reply: int) -> C:
    """Return the leaf for a reply code; UNKNOWN for one that is no error.

    >>> category_of_reply(450).label, category_of_reply(550).label
    ('unavailable', 'not_found')
    """
    return _CODES.get(reply, C.UNKNOWN)


def by_reply(name: str) -> Callable[[BaseException], Match | None]:
    """Return a row: the category of the reply code in the attribute *name*."""

    def row(exc: BaseException) -> Match | None:
        reply = int_attribute(exc, name)
        return None if reply is None else Match(category_of_reply(reply), f"SMTP reply {reply}")

    return row


def by_replies(replies: Iterable[int]) -> Match | None:
    """Return the category of several replies, one for each recipient, none of whom got the mail."""
    found = sorted(set(replies))
    if not found:
        return None
    worst = least_recoverable(map(category_of_reply, found))
    return Match(worst, f"SMTP replies {', '.join(map(str, found))}")
