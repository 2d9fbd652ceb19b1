"""smtplib: 4yz means later, 5yz means never (RFC 5321, 4.2.1)."""

from collections.abc import Mapping
from typing import cast

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named
from resilience.classify.look import Found, attribute, code, number
from resilience.classify.order import least_recoverable

_CODES: dict[int, C] = {
    **dict.fromkeys((500, 501, 502, 503, 504), C.CONFIGURATION),  # the two sides do not speak the same SMTP
    **dict.fromkeys((530, 534, 535, 538), C.AUTHENTICATION),
    550: C.NOT_FOUND,
    551: C.NOT_FOUND,
    552: C.CAPACITY,
}


def _category(reply: int) -> C:
    if reply == -1:  # smtplib's own: the connection closed instead of a reply
        return C.NETWORK
    if not 400 <= reply <= 599:
        return C.UNKNOWN
    return _CODES.get(reply, C.UNAVAILABLE if reply <= 499 else C.VALIDATION)


def _reply(exc: BaseException) -> Found | None:
    reply = code(exc, "smtp_code")
    return Found(_category(reply), f"SMTP reply {reply}") if reply is not None else None


def _recipients(exc: BaseException) -> Found | None:
    """The recipients were refused, each with a reply of its own; none got the mail."""
    refused = attribute(exc, "recipients")
    if not isinstance(refused, Mapping):
        return None
    answers = list(cast("Mapping[object, tuple[object, ...]]", refused).values())
    replies = [reply for answer in answers if answer and (reply := number(answer[0])) is not None]
    if not replies:
        return None
    worst = least_recoverable(map(_category, replies))
    return Found(worst, f"SMTP replies {', '.join(map(str, sorted(set(replies))))}")


ROWS: Rows = {
    "SMTPException": C.UNKNOWN,
    "SMTPResponseException": _reply,
    "SMTPAuthenticationError": _reply,
    "SMTPRecipientsRefused": _recipients,
    "SMTPServerDisconnected": C.NETWORK,
    **named(C.CONFIGURATION, "SMTPNotSupportedError"),
}
