"""anyio: streams, task groups, workers and the connectables.

A `ConnectionFailed` has the failure of the socket as its cause, and comes before anything could be sent. Using a
resource after it was closed, or from two tasks at once, is a bug of the calling program.

`WouldBlock` is UNAVAILABLE, since the same call may succeed a moment later. A `DelimiterNotFound` is VALIDATION: the
peer sent more bytes than the limit without a delimiter. `EndOfStream` and `BrokenResourceError` are lost connections,
and neither proves how much of the data had arrived.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(C.NETWORK, "ConnectionFailed BrokenResourceError EndOfStream IncompleteRead"),
        "DelimiterNotFound": C.VALIDATION,
        "WouldBlock": C.UNAVAILABLE,
        **classes(C.INTERNAL, "ClosedResourceError BusyResourceError RunFinishedError NoEventLoopError"),
        **classes(C.INTERNAL, "BrokenWorkerProcess BrokenWorkerInterpreter TypedAttributeLookupError"),
        **classes(C.CANCELLED, "FutureCancelled TaskCancelled"),
        **classes(C.UNKNOWN, "FutureFailed TaskFailed"),
        **classes(C.INTERNAL, "FutureAlreadyFinished FutureNotFinished TaskNotFinished"),
    },
    never_sent={"ConnectionFailed": True},
    sends_once=True,
)
