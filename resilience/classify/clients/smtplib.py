"""smtplib, from the standard library: the reply of the server decides.

The reply code is in `smtp_code`. An `SMTPRecipientsRefused` keeps a mapping of recipients to code and text, and is
raised only where the server has refused all of them.
"""

from collections.abc import Mapping
from typing import cast

from resilience.category import ErrorCategory as C
from resilience.classify.clients._smtp import by_replies, by_reply
from resilience.classify.library import ClientLibrary
from resilience.classify.look import Match, attribute, number
from resilience.classify.tables import classes

_reply = by_reply("smtp_code")


def _recipients(exc: BaseException) -> Match | None:
    refused = attribute(exc, "recipients")
    if not isinstance(refused, Mapping):
        return None
    answers = cast("Mapping[object, tuple[object, ...]]", refused).values()
    return by_replies(reply for answer in answers if answer and (reply := number(answer[0])) is not None)


LIBRARY = ClientLibrary(
    {
        "SMTPException": C.UNKNOWN,
        "SMTPResponseException": _reply,
        "SMTPAuthenticationError": _reply,
        "SMTPRecipientsRefused": _recipients,
        "SMTPServerDisconnected": C.NETWORK,
        **classes(C.CONFIGURATION, "SMTPNotSupportedError"),
    }
)
