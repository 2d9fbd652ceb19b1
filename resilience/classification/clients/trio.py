"""trio.

`Cancelled` is no `Exception`, and no policy asks about it. Using a resource after it was closed, or from two tasks at
once, is a bug of the calling program; a peer that closed its end is a lost connection.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "Cancelled": C.CANCELLED,
        "TooSlowError": C.TIMEOUT,
        **classes(C.NETWORK, "BrokenResourceError EndOfChannel BadPacket"),
        "WouldBlock": C.UNAVAILABLE,
        **classes(C.INTERNAL, "ClosedResourceError BusyResourceError NeedHandshakeError RunFinishedError"),
        **classes(C.INTERNAL, "TrioInternalError MultipleExceptionError"),
    },
    sends_once=True,
)
