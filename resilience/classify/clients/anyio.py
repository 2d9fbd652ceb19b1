"""anyio."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import inside_or, named

ROWS: Rows = {
    "ConnectionFailed": inside_or(C.NETWORK),
    **named(C.NETWORK, "BrokenResourceError EndOfStream IncompleteRead"),
    "DelimiterNotFound": C.VALIDATION,
    "WouldBlock": C.UNAVAILABLE,
    **named(C.INTERNAL, "ClosedResourceError BusyResourceError RunFinishedError NoEventLoopError"),
    **named(C.INTERNAL, "BrokenWorkerProcess BrokenWorkerInterpreter TypedAttributeLookupError"),
    **named(C.CANCELLED, "FutureCancelled TaskCancelled"),
    **named(C.UNKNOWN, "FutureFailed TaskFailed"),
    **named(C.INTERNAL, "FutureAlreadyFinished FutureNotFinished TaskNotFinished"),
}
