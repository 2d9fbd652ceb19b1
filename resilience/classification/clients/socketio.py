"""python-socketio: the class decides."""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "SocketIOError": C.UNKNOWN,
        **classes(C.NETWORK, "ConnectionError DisconnectedError"),
        "ConnectionRefusedError": C.AUTHORIZATION,  # raised by a server's handler, which refuses the client
        "TimeoutError": C.TIMEOUT,
        "BadNamespaceError": C.INTERNAL,
    },
)
