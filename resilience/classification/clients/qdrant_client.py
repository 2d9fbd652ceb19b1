"""qdrant_client, over REST: the status of the response decides, and the wrapped exception where there is none.

Each failure of httpx arrives as a `ResponseHandlingException`, which keeps it in `source`. A 429 with a Retry-After
header is a class of its own, with the seconds in `retry_after_s`. Over gRPC the client raises grpcio's own exceptions.

The client does not retry, but its uploads make many requests, so nothing here proves that a call was not sent.
"""

from resilience._safe_access import int_attribute
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import wrapped_or

LIBRARY = ClientLibrary(
    {
        "ApiException": C.UNKNOWN,
        "UnexpectedResponse": by_status,
        "ResponseHandlingException": wrapped_or(C.DEPENDENCY, "source"),  # a response that cannot be parsed, say
        "QdrantException": C.UNKNOWN,
        "ResourceExhaustedResponse": C.RATE_LIMIT,
    },
    retry_after=lambda exc: int_attribute(exc, "retry_after_s"),
)
