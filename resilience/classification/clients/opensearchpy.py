"""opensearch-py: the status decides, which is the first argument; ``N/A`` where no response came.

A `TransportError` has three arguments: status, error and the body or the wrapped exception. Its subclasses for 400,
401, 403, 404 and 409 answer by the same status. A `BulkIndexError` reports documents that were refused while others
were stored. The transport retries on other nodes by itself, so nothing here proves that a request was not sent.
"""

from resilience._safe_access import as_int
from resilience.categories import ErrorCategory as C
from resilience.classification.http_status import category_of_status
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes, first_argument, response_or


def _status(exc: BaseException) -> Match | None:
    status = as_int(first_argument(exc))
    return Match(category_of_status(status), f"status {status}") if status and 400 <= status <= 599 else None


LIBRARY = ClientLibrary(
    {
        **classes(C.UNKNOWN, "OpenSearchException"),
        "TransportError": response_or(_status, C.DEPENDENCY),
        **classes(C.NETWORK, "ConnectionError SSLError"),
        "ConnectionTimeout": C.TIMEOUT,
        **classes(C.CONFLICT, "ConflictError BulkIndexError"),
        "ScanError": C.DEPENDENCY,  # a shard failed
        "SerializationError": C.VALIDATION,
        "ImproperlyConfigured": C.CONFIGURATION,
        **classes(C.INTERNAL, "OpenSearchDslException"),
        "ValidationException": C.VALIDATION,
    },
)
