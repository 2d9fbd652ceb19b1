"""websockets: the close code decides, and the status where the handshake was answered by one.

`ConnectionClosedOK` is how a conversation ends: no failure, and nothing to be tried again. The code that was received
goes before the one that was sent.

`InvalidStatus` keeps the response of the handshake, and its status answers. A message may have reached the peer before
a `ConnectionClosedError`, so no class proves that it was not sent.
"""

from resilience._safe_access import int_attribute, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.clients._websocket import category_of_close
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes, response_or, wrapped_or


def _closed(exc: BaseException) -> Match:
    for name in ("rcvd", "sent"):
        code = int_attribute(safe_getattr(exc, name), "code")
        if code is not None:
            return Match(category_of_close(code), f"WebSocket close code {code}")
    return Match(C.NETWORK, "the connection was lost without a close code")


LIBRARY = ClientLibrary(
    {
        "WebSocketException": C.UNKNOWN,
        "ConnectionClosed": _closed,
        "ConnectionClosedOK": C.CANCELLED,
        "InvalidHandshake": C.DEPENDENCY,
        **classes(response_or(by_status, C.DEPENDENCY), "InvalidStatus InvalidStatusCode InvalidProxyStatus"),
        "InvalidMessage": wrapped_or(C.NETWORK, "__cause__"),  # the server hung up during the handshake
        "AbortHandshake": C.CANCELLED,
        **classes(C.CONFIGURATION, "InvalidProxy InvalidURI RedirectHandshake"),
        "ProxyError": C.NETWORK,
        "InvalidOrigin": C.AUTHORIZATION,
        **classes(C.VALIDATION, "PayloadTooBig MultipleValuesError"),
        **classes(C.DEPENDENCY, "ProtocolError TooManyFragments"),
        **classes(C.INTERNAL, "ConcurrencyError InvalidState"),
    },
)
