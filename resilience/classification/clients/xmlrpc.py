"""xmlrpc.client, from the standard library.

A `ProtocolError` is a response with an error status, which is in `errcode`. A `Fault` is what the remote procedure
itself answers, with a code that each server defines for itself. A request over a connection that has gone cold is sent
once more; the loop variable `i` of ``Transport.request`` counts that.

The transport is http.client, whose errors pass through. A `ProtocolError` keeps `url`, `errcode`, `errmsg` and the
headers of the response.
"""

from resilience._safe_access import int_attribute
from resilience.categories import ErrorCategory as C
from resilience.classification.frames import at_most, variable
from resilience.classification.http_status import category_of_status
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.match import Match
from resilience.classification.tables import classes


def _status(exc: BaseException) -> Match | None:
    status = int_attribute(exc, "errcode") or 0
    if not 400 <= status <= 599:
        return None
    return Match(category_of_status(status), f"status {status}")


LIBRARY = ClientLibrary(
    {
        **classes(C.UNKNOWN, "Error Fault"),
        "ProtocolError": _status,
        "ResponseError": C.DEPENDENCY,  # the response is no XML-RPC
    },
    prior_requests=PriorRequests(
        {"client.request": variable("i", at_most(0))},
        callers="__call__ __request",
    ),
)
