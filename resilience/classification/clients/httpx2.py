"""httpx2, the fork of httpx: the same classes and the same variables, and server-sent events and WebSockets.

A WebSocket that is closed in the normal way ends the conversation, and is no failure.

An upgrade that the server refuses is a `WebSocketUpgradeError` and answers by the status of the response. An
`SSEError` is a body of another content type or form, which a retry rarely changes.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.clients._websocket import by_close_code
from resilience.classification.clients.httpx import LIBRARY as HTTPX
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, response_or

LIBRARY = ClientLibrary(
    {
        **HTTPX.categories,
        "SSEError": C.DEPENDENCY,  # the stream is no stream of events
        "QueueShutDown": C.INTERNAL,
        "HTTPXWSException": C.UNKNOWN,
        "WebSocketUpgradeError": response_or(by_status, C.DEPENDENCY),
        "WebSocketDisconnect": by_close_code("code"),
        "WebSocketNetworkError": C.NETWORK,
        "WebSocketInvalidTypeReceived": C.DEPENDENCY,
        **classes(C.CANCELLED, "EndOfStream ShouldClose"),
        **classes(C.INTERNAL, "ASGIWebSocketTransportError UnhandledASGIMessageType UnhandledWebSocketEvent"),
    },
    never_sent=HTTPX.never_sent,
    prior_requests=HTTPX.prior_requests,
)
