"""httpx2, the fork: the same classes, and server-sent events."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients.httpx import ROWS as HTTPX

ROWS: Rows = {
    **HTTPX,
    "SSEError": C.DEPENDENCY,  # the stream is no stream of events
    "QueueShutDown": C.INTERNAL,
}
