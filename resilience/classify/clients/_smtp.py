"""What an SMTP reply means: 4yz is later, 5yz is never (RFC 5321, 4.2.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from resilience.category import ErrorCategory as C
from resilience.classify.look import Found, code
from resilience.classify.order import least_recoverable

__all__ = ["by_replies", "by_reply", "category_of_reply"]

_CODES: dict[int, C] = {
    **dict.fromkeys((500, 501, 502, 503, 504), C.CONFIGURATION),  # the two sides do not speak the same SMTP
    **dict.fromkeys((530, 534, 535, 538), C.AUTHENTICATION),
    550: C.NOT_FOUND,
    551: C.NOT_FOUND,
    552: C.CAPACITY,
}


def category_of_reply(reply: int) -> C:
    """Return the leaf for a reply code; UNKNOWN for one that is no error."""
    if reply == -1:  # smtplib's own: the connection closed instead of a reply
        return C.NETWORK
    if not 400 <= reply <= 599:
        return C.UNKNOWN
    return _CODES.get(reply, C.UNAVAILABLE if reply <= 499 else C.VALIDATION)


def by_reply(name: str) -> Callable[[BaseException], Found | None]:
    """Return a row: what the reply code in the attribute *name* says."""

    def row(exc: BaseException) -> Found | None:
        reply = code(exc, name)
        return Found(category_of_reply(reply), f"SMTP reply {reply}") if reply is not None else None

    return row


def by_replies(replies: Iterable[int]) -> Found | None:
    """Return what several replies come to, one for each recipient, none of whom got the mail."""
    found = sorted(set(replies))
    if not found:
        return None
    worst = least_recoverable(map(category_of_reply, found))
    return Found(worst, f"SMTP replies {', '.join(map(str, found))}")
