"""trio."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named

ROWS: Rows = {
    "Cancelled": C.CANCELLED,
    "TooSlowError": C.TIMEOUT,
    **named(C.NETWORK, "BrokenResourceError EndOfChannel BadPacket"),
    "WouldBlock": C.UNAVAILABLE,
    **named(C.INTERNAL, "ClosedResourceError BusyResourceError NeedHandshakeError RunFinishedError"),
    **named(C.INTERNAL, "TrioInternalError MultipleExceptionError"),
}
