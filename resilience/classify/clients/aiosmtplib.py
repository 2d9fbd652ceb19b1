"""aiosmtplib: the reply of the server decides."""

from typing import cast

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._smtp import by_replies, by_reply
from resilience.classify.look import Found, attribute, code

_reply = by_reply("code")


def _recipients(exc: BaseException) -> Found | None:
    refused = attribute(exc, "recipients")
    if type(refused) not in (list, tuple):
        return None
    return by_replies(reply for one in cast("list[object]", refused) if (reply := code(one, "code")) is not None)


ROWS: Rows = {
    "SMTPException": C.UNKNOWN,
    "SMTPResponseException": _reply,
    "SMTPConnectResponseError": _reply,
    "SMTPRecipientsRefused": _recipients,
    "SMTPServerDisconnected": C.NETWORK,
    "SMTPConnectError": C.NETWORK,
    "SMTPTimeoutError": C.TIMEOUT,
    "SMTPConnectTimeoutError": C.TIMEOUT,
    "SMTPNotSupported": C.CONFIGURATION,
}
