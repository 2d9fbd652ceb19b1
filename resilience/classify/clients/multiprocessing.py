"""multiprocessing."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows

ROWS: Rows = {
    "ProcessError": C.UNKNOWN,
    "TimeoutError": C.TIMEOUT,  # no TimeoutError of Python's
    "AuthenticationError": C.AUTHENTICATION,
    "BufferTooShort": C.INTERNAL,
    "RemoteError": C.UNKNOWN,
    "MaybeEncodingError": C.INTERNAL,
    "ReentrantCallError": C.INTERNAL,
    "RemoteTraceback": C.UNKNOWN,  # never raised: the cause of what is
}
