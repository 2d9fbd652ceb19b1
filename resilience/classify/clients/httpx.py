"""httpx."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named
from resilience.classify.structure import by_status

ROWS: Rows = {
    "HTTPError": C.UNKNOWN,
    "RequestError": C.UNKNOWN,
    "TransportError": C.NETWORK,
    **named(C.TIMEOUT, "TimeoutException ConnectTimeout ReadTimeout WriteTimeout PoolTimeout"),
    **named(C.NETWORK, "NetworkError ConnectError ReadError WriteError CloseError ProxyError RemoteProtocolError"),
    "ProtocolError": C.NETWORK,
    **named(C.VALIDATION, "LocalProtocolError UnsupportedProtocol InvalidURL"),
    "TooManyRedirects": C.CONFIGURATION,
    "DecodingError": C.DEPENDENCY,
    "HTTPStatusError": by_status,
    **named(C.INTERNAL, "StreamError StreamConsumed StreamClosed ResponseNotRead RequestNotRead CookieConflict"),
}
