"""urllib3."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import inside_or, named

ROWS: Rows = {
    "HTTPError": C.UNKNOWN,
    "PoolError": C.UNKNOWN,
    "RequestError": C.UNKNOWN,
    **named(C.TIMEOUT, "TimeoutError ReadTimeoutError ConnectTimeoutError"),
    **named(C.NETWORK, "NewConnectionError NameResolutionError"),  # by inheritance they are timeouts
    "ProtocolError": inside_or(C.NETWORK),
    **named(C.NETWORK, "IncompleteRead InvalidChunkLength"),
    "ProxyError": inside_or(C.NETWORK, "original_error"),
    "SSLError": inside_or(C.NETWORK),
    "MaxRetryError": inside_or(C.NETWORK, "reason"),
    "ResponseError": C.SERVER_ERROR,  # gave up on statuses its caller had listed for retry
    **named(C.CAPACITY, "EmptyPoolError FullPoolError"),  # our own pool, not the server
    "ClosedPoolError": C.INTERNAL,
    "HostChangedError": C.INTERNAL,
    **named(C.DEPENDENCY, "DecodeError ResponseNotChunked BodyNotHttplibCompatible HeaderParsingError InvalidHeader"),
    **named(C.VALIDATION, "LocationValueError LocationParseError URLSchemeUnknown"),
    **named(C.CONFIGURATION, "ProxySchemeUnknown ProxySchemeUnsupported CertificateError"),
    **named(C.INTERNAL, "TimeoutStateError UnrewindableBodyError"),
}
