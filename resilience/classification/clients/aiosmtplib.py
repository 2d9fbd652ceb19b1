"""aiosmtplib: the reply of the server decides.

The reply code is in `code`; an `SMTPRecipientsRefused` keeps one error per recipient, each with a code of its own, and
is raised only where the server has refused all of them.

A reply of 4yz is UNAVAILABLE and may be retried, one of 5yz is final (`_smtp`). The classes for a refused sender, DATA
or HELO derive from `SMTPResponseException` and need no row. A `SMTPConnectError` or `SMTPServerDisconnected` is a lost
connection, and a message that was already handed over may have been delivered.
"""

from typing import cast

from resilience._safe_access import int_attribute, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification.clients._smtp import by_replies, by_reply
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match

_reply = by_reply("code")


def _recipients(exc: BaseException) -> Match | None:
    refused = safe_getattr(exc, "recipients")
    if type(refused) not in (list, tuple):
        return None
    return by_replies(
        reply for one in cast("list[object]", refused) if (reply := int_attribute(one, "code")) is not None
    )


LIBRARY = ClientLibrary(
    {
        "SMTPException": C.UNKNOWN,
        "SMTPResponseException": _reply,
        "SMTPConnectResponseError": _reply,
        "SMTPRecipientsRefused": _recipients,
        "SMTPServerDisconnected": C.NETWORK,
        "SMTPConnectError": C.NETWORK,
        "SMTPTimeoutError": C.TIMEOUT,
        "SMTPConnectTimeoutError": C.TIMEOUT,
        "SMTPNotSupported": C.CONFIGURATION,
    },
    sends_once=True,
)
