"""pinecone: the status of the response decides."""

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
