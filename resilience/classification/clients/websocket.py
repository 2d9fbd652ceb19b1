"""websocket-client: the class decides, and the status where the handshake was answered by one.

A `WebSocketBadStatusException` keeps `status_code` and the headers of the response to the handshake. A connection that
closes raises `WebSocketConnectionClosedException` without the close code, so a normal end and a lost connection are
the same NETWORK here.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, response_or

LIBRARY = ClientLibrary(
    {
        "WebSocketException": C.UNKNOWN,
        **classes(C.NETWORK, "WebSocketConnectionClosedException WebSocketAddressException"),
        **classes(C.NETWORK, "WebSocketProxyException ProxyError ProxyConnectionError"),
        **classes(C.TIMEOUT, "WebSocketTimeoutException ProxyTimeoutError"),
        "WebSocketBadStatusException": response_or(by_status, C.DEPENDENCY),
        **classes(C.DEPENDENCY, "WebSocketProtocolException WebSocketPayloadException"),
    },
)
