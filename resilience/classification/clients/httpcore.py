"""httpcore, the transport that httpx stands on.

It sends one request per call and follows nothing. Its exceptions are met bare only by programs that use it directly:
httpx maps each of them to a class of its own with the same name.

Each network class maps one kind of failure of the backend (sockets, anyio, trio) in one phase. A `ConnectError`,
`ConnectTimeout` or `PoolTimeout` comes before the request is written. `LocalProtocolError` is the request that breaks
HTTP, and `RemoteProtocolError` the response; h11 and h2 find both.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(C.TIMEOUT, "TimeoutException ConnectTimeout ReadTimeout WriteTimeout PoolTimeout"),
        **classes(C.NETWORK, "NetworkError ConnectError ReadError WriteError ProxyError"),
        **classes(C.NETWORK, "ProtocolError RemoteProtocolError ConnectionNotAvailable"),
        **classes(C.VALIDATION, "LocalProtocolError UnsupportedProtocol"),
    },
    never_sent=classes(True, "ConnectError ConnectTimeout PoolTimeout ProxyError UnsupportedProtocol"),
    sends_once=True,
)
