"""multiprocessing, from the standard library.

Its `TimeoutError` is not Python's own. `RemoteTraceback` is the cause that a pool gives to an exception of a worker
process; it does not show what the worker sent before (`_prior_requests`).

A `RemoteError` carries the traceback of a manager's process as text, so the original class is lost and it stays
UNKNOWN. A `MaybeEncodingError` is a result that cannot be pickled, and the worker has finished by then: a retry would
do the work again.
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
