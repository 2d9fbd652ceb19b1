"""httpx, sync and async.

A response with an error status is an exception only after ``raise_for_status()``. Transport errors have a class for
each phase (connect, read, write, pool), and those of connecting prove that nothing was sent. httpx follows redirects
and answers authentication challenges where the program asks for it; `history` and `response` in its sending functions
show whether it has.

A `RemoteProtocolError` is most often a server that closed an idle connection: NETWORK, and the request may have been
read. A `LocalProtocolError` or `InvalidURL` is a request that cannot be sent in any attempt, so it is VALIDATION.
"""

from typing import cast

from resilience._safe_access import safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.frames import both, is_empty, not_yet_bound, only_objects, variable
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.tables import classes

_NO_RESPONSE_YET = both(variable("history", is_empty), not_yet_bound("response"))

_REFUSED_STREAM = 7  # of HTTP/2, RFC 9113, 7: the request has not been processed


def was_refused(exc: BaseException) -> bool:
    """Return whether the server of HTTP/2 says that it has not processed the request (RFC 9113, 8.7).

    httpcore raises an error with the event of h2, and httpx its own from that: GOAWAY, which names the last stream that
    was processed, here none; or the reset of a stream that was refused. The pool of httpcore itself repeats a request
    on a stream after a last one that is named.
    """
    arguments = safe_getattr(safe_getattr(exc, "__cause__"), "args")
    if not isinstance(arguments, tuple) or not arguments:
        return False
    event = cast("tuple[object, ...]", arguments)[0]
    if safe_getattr(event, "last_stream_id") == 0:
        return True
    return safe_getattr(event, "stream_id") is not None and safe_getattr(event, "error_code") == _REFUSED_STREAM


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
    never_sent={
        **classes(True, "ConnectError ConnectTimeout PoolTimeout ProxyError UnsupportedProtocol"),
        "RemoteProtocolError": was_refused,
    },
    prior_requests=PriorRequests(
        {
            "_client._send_handling_redirects": _NO_RESPONSE_YET,
            # It hands over a list to which redirects are not added: so it can only object.
            "_client._send_handling_auth": only_objects(_NO_RESPONSE_YET),
        },
        callers="get options head post put patch delete request stream send",
    ),
)
