"""concurrent.futures: futures and executors.

`CancelledError` is an ordinary `Exception` here, unlike asyncio's, and means the same: the caller did not want the
result any more. `_RemoteTraceback` is the cause that a process pool gives to an exception of a worker; what the worker
sent before cannot be told from it (`prior_requests`).
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary(
    {
        "Error": C.UNKNOWN,
        "CancelledError": C.CANCELLED,
        "InvalidStateError": C.INTERNAL,
        "BrokenExecutor": C.INTERNAL,  # a worker died; the executor takes no more work
        "_RemoteTraceback": C.UNKNOWN,  # never raised
    }
)
