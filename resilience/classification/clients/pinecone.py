"""pinecone: the status of the response decides.

An `ApiError` keeps `status_code`, `body` and `request_id`, and for a 429 the server's wait in `retry_after`; a
subclass such as `NotFoundError` answers by the same status. The other classes come without a response: arguments that
the client refuses, a body that it cannot decode, and failures of the transport. The client retries some statuses by
itself before it raises.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, response_or, wrapped_or

LIBRARY = ClientLibrary(
    {
        "PineconeError": C.UNKNOWN,
        "ApiError": response_or(by_status, C.DEPENDENCY),
        "PineconeConnectionError": wrapped_or(C.NETWORK, "__cause__"),
        "PineconeTimeoutError": C.TIMEOUT,
        "ResponseParsingError": C.DEPENDENCY,
        **classes(C.VALIDATION, "PineconeTypeError PineconeValueError QueryResultsAggregatorInvalidTopKError"),
        **classes(C.VALIDATION, "_NotAnIntegerError"),
        **classes(C.SERVER_ERROR, "IndexInitFailedError"),
        **classes(C.NOT_FOUND, "IndexTerminatedError"),
    },
)
