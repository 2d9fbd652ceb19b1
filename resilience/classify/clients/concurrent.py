"""concurrent.futures."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows

ROWS: Rows = {
    "Error": C.UNKNOWN,
    "CancelledError": C.CANCELLED,  # an Exception, unlike asyncio's
    "InvalidStateError": C.INTERNAL,
    "BrokenExecutor": C.INTERNAL,  # a worker died; the executor takes no more work
    "_RemoteTraceback": C.UNKNOWN,  # never raised: the cause of what is
}
