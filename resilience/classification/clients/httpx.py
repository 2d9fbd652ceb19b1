"""httpx, sync and async.

A response with an error status is an exception only after ``raise_for_status()``. Transport errors have a class for
each phase (connect, read, write, pool), and those of connecting prove that nothing was sent. httpx follows redirects
and answers authentication challenges where the program asks for it; `history` and `response` in its sending functions
show whether it has.

A `RemoteProtocolError` is most often a server that closed an idle connection: NETWORK, and the request may have been
read. A `LocalProtocolError` or `InvalidURL` is a request that cannot be sent in any attempt, so it is VALIDATION.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.frames import both, is_empty, not_yet_bound, only_objects, variable
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.tables import classes

_NO_RESPONSE_YET = both(variable("history", is_empty), not_yet_bound("response"))

LIBRARY = ClientLibrary(
    {
        "HTTPError": C.UNKNOWN,
        "RequestError": C.UNKNOWN,
        "TransportError": C.NETWORK,
        **classes(C.TIMEOUT, "TimeoutException ConnectTimeout ReadTimeout WriteTimeout PoolTimeout"),
        **classes(C.NETWORK, "NetworkError ConnectError ReadError WriteError CloseError"),
        **classes(C.NETWORK, "ProxyError RemoteProtocolError ProtocolError"),
        **classes(C.VALIDATION, "LocalProtocolError UnsupportedProtocol InvalidURL"),
        "TooManyRedirects": C.CONFIGURATION,
        "DecodingError": C.DEPENDENCY,
        "HTTPStatusError": by_status,
        **classes(C.INTERNAL, "StreamError StreamConsumed StreamClosed ResponseNotRead RequestNotRead CookieConflict"),
    },
    never_sent=classes(True, "ConnectError ConnectTimeout PoolTimeout ProxyError UnsupportedProtocol"),
    prior_requests=PriorRequests(
        {
            "_client._send_handling_redirects": _NO_RESPONSE_YET,
            # It hands over a list to which redirects are not added: so it can only object.
            "_client._send_handling_auth": only_objects(_NO_RESPONSE_YET),
        },
        callers="get options head post put patch delete request stream send",
    ),
)
