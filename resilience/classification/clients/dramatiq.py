"""dramatiq: `Retry` and `SkipMessage` are how an actor tells the worker what to do, and no failures.

`ConnectionFailed` and `ConnectionClosed` stand below `BrokerConnectionError` and may be retried; an actor or a queue
that was not declared is NOT_FOUND and may not. A `ResultFailure`, below `ResultError`, is the failure of the actor
whose result was read, so DEPENDENCY.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(C.UNKNOWN, "DramatiqError BrokerError"),
        **classes(C.CANCELLED, "Retry MiddlewareError"),
        "BrokerConnectionError": C.NETWORK,
        **classes(C.NOT_FOUND, "ActorNotFound QueueNotFound ResultMissing"),
        **classes(C.TIMEOUT, "QueueJoinTimeout ResultTimeout"),
        "RateLimitExceeded": C.RATE_LIMIT,
        "DecodeError": C.VALIDATION,
        "ResultError": C.DEPENDENCY,
    },
)
