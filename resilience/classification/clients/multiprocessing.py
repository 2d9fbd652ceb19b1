"""multiprocessing, from the standard library.

Its `TimeoutError` is not Python's own. `RemoteTraceback` is the cause that a pool gives to an exception of a worker
process; what the worker sent before cannot be told from it (`prior_requests`).
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary(
    {
        "ProcessError": C.UNKNOWN,
        "TimeoutError": C.TIMEOUT,
        "AuthenticationError": C.AUTHENTICATION,
        "BufferTooShort": C.INTERNAL,
        "RemoteError": C.UNKNOWN,
        "MaybeEncodingError": C.INTERNAL,
        "ReentrantCallError": C.INTERNAL,
        "RemoteTraceback": C.UNKNOWN,  # never raised
    }
)
