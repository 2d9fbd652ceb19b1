"""elastic_transport, what elasticsearch and Elastic's other clients stand on: the status of the response decides.

A response with an error status is an `ApiError`, in each client a subclass of its own; status and headers, and so
Retry-After, are in `meta`. A `TransportError` comes without a response and has the failure of the HTTP client as its
cause: an error of TLS may hide a refused certificate there.

The transport retries on other nodes by itself, and clients have helpers that make many requests, so nothing here proves
that a call was not sent.

A `ConnectionTimeout` is TIMEOUT, and may come after the node has received the request. A `SniffingError` is retried,
as a node may come back.
"""

from resilience._safe_access import int_attribute, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification.http_status import category_of_status
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.retry_hints import retry_after_of_result
from resilience.classification.tables import classes


def _status(exc: BaseException) -> Match | None:
    status = int_attribute(safe_getattr(exc, "meta"), "status")
    if status is None:
        return None
    return Match(category_of_status(status), f"status {status}")


LIBRARY = ClientLibrary(
    {
        "ApiError": _status,
        "TransportError": C.UNKNOWN,
        **classes(C.NETWORK, "ConnectionError TlsError"),
        "ConnectionTimeout": C.TIMEOUT,
        "SerializationError": C.VALIDATION,
        "SniffingError": C.UNAVAILABLE,  # no node to send to, for now
    },
    retry_after=lambda exc: retry_after_of_result(safe_getattr(exc, "meta")),
)
