"""httpcore, what httpx stands on."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named

ROWS: Rows = {
    **named(C.TIMEOUT, "TimeoutException ConnectTimeout ReadTimeout WriteTimeout PoolTimeout"),
    **named(C.NETWORK, "NetworkError ConnectError ReadError WriteError ProxyError"),
    **named(C.NETWORK, "ProtocolError RemoteProtocolError ConnectionNotAvailable"),
    **named(C.VALIDATION, "LocalProtocolError UnsupportedProtocol"),
}
