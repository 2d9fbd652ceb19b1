"""httpx2, the fork of httpx: the same classes and the same variables, and server-sent events."""

from resilience.categories import ErrorCategory as C
from resilience.classification.clients.httpx import LIBRARY as HTTPX
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary(
    {
        **HTTPX.categories,
        "SSEError": C.DEPENDENCY,  # the stream is no stream of events
        "QueueShutDown": C.INTERNAL,
    },
    never_sent=HTTPX.never_sent,
    prior_requests=HTTPX.prior_requests,
)
