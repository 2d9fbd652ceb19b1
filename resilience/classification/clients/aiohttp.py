"""aiohttp, client and server.

A connection that cannot be made is a `ClientConnectorError`, which is an `OSError` with an errno: running out of file
descriptors arrives as one too, so the errno decides before the class does. aiohttp follows redirects, sends an
idempotent request once more when the server has closed an idle connection, and answers digest challenges: the
variables `history`, `retry_persistent_connection` and `retry_count` show whether it has.

A `ClientConnectorError` proves that nothing was sent, and so do a `ConnectionTimeoutError`, a fingerprint that does
not match and a proxy that refuses the tunnel. A plain `ClientOSError` comes from a connection that existed, so it
proves nothing. On the server side, a raised `HTTPSuccessful` or `HTTPRedirection` is a response in the form of an
exception.
"""

from types import FrameType

from resilience._safe_access import mro, qualified_name, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification._builtin_exceptions import by_errno
from resilience.classification.frames import at_most, has_variable, is_empty, only_objects, variable
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.match import Match
from resilience.classification.tables import classes, response_or


def _response(exc: BaseException) -> Match | None:
    # A response that is not HTTP arrives as a status 400 that the server never sent.
    if any(qualified_name(kind) == ("aiohttp", "HttpProcessingError") for kind in mro(safe_getattr(exc, "__cause__"))):
        return Match(C.NETWORK, "the answer is no HTTP")
    return by_status(exc)


def _first_request(frame: FrameType) -> bool | None:
    local = frame.f_locals
    if not {"history", "retry_persistent_connection"} <= set(local) or not has_variable(frame, "resp"):
        return None
    # An idempotent request is sent once more where the server has closed the connection meanwhile; the flag is down
    # then, as it is from the start for the other methods.
    once = local["retry_persistent_connection"] is True or local.get("method") in {"POST", "PATCH", "CONNECT"}
    return once and is_empty(local["history"]) and local.get("resp") is None


LIBRARY = ClientLibrary(
    {
        "ClientError": C.UNKNOWN,
        "ClientResponseError": _response,
        "ContentTypeError": response_or(by_status, C.DEPENDENCY),  # a gateway's page, or a response that went well
        "ClientHttpProxyError": by_status,
        "WSServerHandshakeError": by_status,
        "TooManyRedirects": C.CONFIGURATION,
        "ClientConnectionError": C.NETWORK,
        "ClientOSError": response_or(by_errno, C.NETWORK),
        **classes(C.NETWORK, "ClientConnectionResetError ClientConnectorDNSError ServerConnectionError"),
        **classes(C.NETWORK, "ServerDisconnectedError ClientPayloadError ClientSSLError ClientConnectorSSLError"),
        **classes(C.CONFIGURATION, "ClientConnectorCertificateError ServerFingerprintMismatch"),
        **classes(C.TIMEOUT, "ServerTimeoutError ConnectionTimeoutError SocketTimeoutError"),
        **classes(C.VALIDATION, "InvalidURL InvalidUrlClientError NonHttpUrlClientError"),
        **classes(C.DEPENDENCY, "RedirectClientError InvalidUrlRedirectClientError NonHttpUrlRedirectClientError"),
        "UploadAbortedError": C.NETWORK,
        # Parsing what the peer sent.
        "HttpProcessingError": C.DEPENDENCY,
        "InvalidURLError": C.VALIDATION,
        "PayloadEncodingError": C.NETWORK,  # the body ended early
        "ContentEncodingError": C.DEPENDENCY,
        "DecompressSizeError": C.DEPENDENCY,
        "TooManyMembersError": C.DEPENDENCY,
        **classes(C.NETWORK, "EofStream RequestPayloadError"),
        "WebSocketError": C.NETWORK,
        "WSHandshakeError": C.DEPENDENCY,
        # The server side, where a response may be raised that is no failure.
        "HTTPException": by_status,
        **classes(C.CANCELLED, "HTTPSuccessful HTTPRedirection"),
        **classes(C.INTERNAL, "WSMessageTypeError LookupError CleanupError PayloadAccessError"),
    },
    never_sent={
        **classes(True, "ClientConnectorError ConnectionTimeoutError ServerFingerprintMismatch ClientHttpProxyError"),
        "ClientOSError": False,  # of a connection that there is
    },
    prior_requests=PriorRequests(
        {
            "client._request": _first_request,
            "client_middleware_digest_auth.__call__": only_objects(variable("retry_count", at_most(0), missing=False)),
        },
        callers="__aenter__ __await__ _ws_connect",
    ),
)
