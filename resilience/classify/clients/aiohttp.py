"""aiohttp, client and server."""

from resilience.category import ErrorCategory as C
from resilience.classify.builtins import by_errno
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named
from resilience.classify.look import Found, attribute, kinds, name_of
from resilience.classify.structure import by_status


def _os_error(exc: BaseException) -> Found | C:
    # Out of descriptors, say, is no failure of the network.
    return by_errno(exc) or C.NETWORK


def _response(exc: BaseException) -> Found | None:
    # An answer that is no HTTP arrives as a status 400 that the server never sent.
    if any(name_of(kind) == ("aiohttp", "HttpProcessingError") for kind in kinds(attribute(exc, "__cause__"))):
        return Found(C.NETWORK, "the answer is no HTTP")
    return by_status(exc)


ROWS: Rows = {
    "ClientError": C.UNKNOWN,
    "ClientResponseError": _response,
    "ContentTypeError": C.DEPENDENCY,  # carries the status of a response that may well be 200
    "ClientHttpProxyError": by_status,
    "WSServerHandshakeError": by_status,
    "TooManyRedirects": C.CONFIGURATION,
    "ClientConnectionError": C.NETWORK,
    "ClientOSError": _os_error,
    **named(C.NETWORK, "ClientConnectionResetError ClientConnectorDNSError ServerConnectionError"),
    **named(C.NETWORK, "ServerDisconnectedError ClientPayloadError ClientSSLError ClientConnectorSSLError"),
    **named(C.CONFIGURATION, "ClientConnectorCertificateError ServerFingerprintMismatch"),
    **named(C.TIMEOUT, "ServerTimeoutError ConnectionTimeoutError SocketTimeoutError"),
    **named(C.VALIDATION, "InvalidURL InvalidUrlClientError NonHttpUrlClientError"),
    **named(C.DEPENDENCY, "RedirectClientError InvalidUrlRedirectClientError NonHttpUrlRedirectClientError"),
    "UploadAbortedError": C.NETWORK,
    # Parsing what the other side sent.
    "HttpProcessingError": C.DEPENDENCY,
    "InvalidURLError": C.VALIDATION,
    "PayloadEncodingError": C.NETWORK,  # the body ended early
    "ContentEncodingError": C.DEPENDENCY,
    "DecompressSizeError": C.DEPENDENCY,
    "TooManyMembersError": C.DEPENDENCY,
    **named(C.NETWORK, "EofStream RequestPayloadError"),
    "WebSocketError": C.NETWORK,
    "WSHandshakeError": C.DEPENDENCY,
    # The server side.
    "HTTPException": by_status,
    **named(C.UNKNOWN, "HTTPSuccessful HTTPRedirection"),
    **named(C.INTERNAL, "WSMessageTypeError LookupError CleanupError PayloadAccessError"),
}
