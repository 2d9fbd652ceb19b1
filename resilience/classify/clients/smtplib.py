"""smtplib: the reply of the server decides."""

from collections.abc import Mapping
from typing import cast

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named
from resilience.classify.clients._smtp import by_replies, by_reply
from resilience.classify.look import Found, attribute, number

_reply = by_reply("smtp_code")


def _recipients(exc: BaseException) -> Found | None:
    refused = attribute(exc, "recipients")
    if not isinstance(refused, Mapping):
        return None
    answers = list(cast("Mapping[object, tuple[object, ...]]", refused).values())
    return by_replies(reply for answer in answers if answer and (reply := number(answer[0])) is not None)


ROWS: Rows = {
    "SMTPException": C.UNKNOWN,
    "SMTPResponseException": _reply,
    "SMTPAuthenticationError": _reply,
    "SMTPRecipientsRefused": _recipients,
    "SMTPServerDisconnected": C.NETWORK,
    **named(C.CONFIGURATION, "SMTPNotSupportedError"),
}
