"""trio.

`Cancelled` is no `Exception`, and no policy asks about it. Using a resource after it was closed, or from two tasks at
once, is a bug of the calling program; a peer that closed its end is a lost connection.

`WouldBlock` is UNAVAILABLE, since the same call may succeed later, and a `TooSlowError` is the end of a `fail_after`.
trio wraps the failure of a socket in `BrokenResourceError`, which keeps the OSError as its cause. Errors of several
tasks come as an ExceptionGroup, whose members decide.
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
