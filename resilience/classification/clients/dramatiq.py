"""dramatiq: `Retry` and `SkipMessage` are how an actor tells the worker what to do, and no failures."""

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
