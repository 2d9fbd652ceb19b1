"""smtplib, from the standard library: the reply of the server decides.

The reply code is in `smtp_code`. An `SMTPRecipientsRefused` keeps a mapping of recipients to code and text, and is
raised only where the server has refused all of them.

A refused sender, DATA or HELO is a subclass of `SMTPResponseException` and answers by its code. A reply of 4yz may be
retried. `SMTPServerDisconnected` after DATA leaves open whether the server has taken the message.
"""

from collections.abc import Mapping
from typing import cast

from resilience._safe_access import as_int, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification.clients._smtp import by_replies, by_reply
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes

_reply = by_reply("smtp_code")


def _recipients(exc: BaseException) -> Match | None:
    refused = safe_getattr(exc, "recipients")
    if not isinstance(refused, Mapping):
        return None
    answers = cast("Mapping[object, tuple[object, ...]]", refused).values()
    return by_replies(reply for answer in answers if answer and (reply := as_int(answer[0])) is not None)


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
