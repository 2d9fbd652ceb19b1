"""imaplib, from the standard library: `abort` is a connection that is gone.

A `readonly` is a mailbox whose state has changed.

Any other error is the server's NO or BAD to a command: a login that was refused, or a wrong use of the client. Nothing
but the text tells which, so it stays UNKNOWN.

The three classes are nested in `IMAP4` and carry only text. imaplib raises an `abort` for a failure of the socket, for
a server that says BYE and for a response that it cannot parse. A command that was sent before an `abort` may have been
carried out.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import wrapped_or

LIBRARY = ClientLibrary(
    {
        "IMAP4.error": C.UNKNOWN,
        "IMAP4.abort": wrapped_or(C.NETWORK, "__cause__"),
        "IMAP4.readonly": C.CONFLICT,
    },
)
