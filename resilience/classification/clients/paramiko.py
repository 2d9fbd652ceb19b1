"""paramiko: the class decides; `NoValidConnectionsError` goes by what each address answered, in `errors`.

`SSHException` is the base class and also what paramiko raises bare for a lost or unreadable session, so it is NETWORK.
A wrong password or key is an `AuthenticationException`, and no retry repairs it. `NoValidConnectionsError` keeps a
dict from address to exception: no address accepted a connection, so nothing was sent by then. paramiko sends what it
is given once; of several keys and addresses it tries one after the other before that.

A status of SFTP arrives as an OSError or EOFError of Python, with an errno for a missing file and a refused
permission. An `SFTPError` is a response of another type than the request asks for.
"""

from typing import cast

from resilience._safe_access import safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification.classifier import classify
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes


def _addresses(exc: BaseException) -> C:
    errors: object = safe_getattr(exc, "errors")
    found = list(cast("dict[object, object]", errors).values()) if isinstance(errors, dict) else []
    known = {classify(one) for one in found if isinstance(one, Exception)}
    return C.NETWORK if len(known) != 1 or C.UNKNOWN in known else known.pop()


LIBRARY = ClientLibrary(
    {
        "SSHException": C.NETWORK,
        "NoValidConnectionsError": _addresses,
        "PipeTimeout": C.TIMEOUT,
        "ChannelException": C.UNAVAILABLE,  # the server opened no channel
        **classes(C.AUTHENTICATION, "AuthenticationException"),
        **classes(C.CONFIGURATION, "BadHostKeyException IncompatiblePeer ConfigParseError CouldNotCanonicalize"),
        **classes(C.CONFIGURATION, "InvalidHostKey UnknownKeyType ProxyCommandFailure"),
        **classes(C.DEPENDENCY, "MessageOrderError BERException SFTPError"),
        "NeedRekeyException": C.INTERNAL,
    },
    never_sent={"NoValidConnectionsError": True},
    sends_once=True,
)
