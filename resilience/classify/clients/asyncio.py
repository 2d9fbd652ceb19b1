"""asyncio."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named

ROWS: Rows = {
    "CancelledError": C.CANCELLED,
    "IncompleteReadError": C.NETWORK,
    "LimitOverrunError": C.VALIDATION,
    **named(C.CAPACITY, "QueueFull"),
    **named(C.UNKNOWN, "QueueEmpty"),
    **named(C.INTERNAL, "InvalidStateError BrokenBarrierError SendfileNotAvailableError QueueShutDown"),
}
