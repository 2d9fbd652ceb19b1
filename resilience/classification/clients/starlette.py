"""Starlette and FastAPI: an `HTTPException` goes by its status, a WebSocket by its close code.

Both are how an endpoint answers. A client that has closed its WebSocket in the normal way, or has gone, is no failure.

FastAPI's `HTTPException` derives from Starlette's and needs no row. A `NoMatchFound` is a URL that `url_for` cannot
build. Both packages answer requests, so none of these exceptions says that a dependency has failed.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.clients._websocket import by_close_code
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "HTTPException": by_status,
        "WebSocketDisconnect": by_close_code("code"),
        "WebSocketException": by_close_code("code"),
        "ClientDisconnect": C.CANCELLED,
        **classes(C.NOT_FOUND, "NoMatchFound"),
        "AuthenticationError": C.AUTHENTICATION,
        **classes(C.CANCELLED, "_StopIteration _RequestBodyLimitResponseSent"),
        **classes(C.VALIDATION, "MultiPartException MalformedRangeHeader RangeNotSatisfiable"),
        **classes(C.INTERNAL, "WebSocketDisconnected EnvironError"),
    },
)
