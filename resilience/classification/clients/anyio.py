"""anyio: streams, task groups, workers and the connectables.

A `ConnectionFailed` has the failure of the socket as its cause, and comes before anything could be sent. Using a
resource after it was closed, or from two tasks at once, is a bug of the calling program.
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
