"""python-socketio: the class decides.

A `SocketIOError` carries no code. A `TimeoutError` is a call without an acknowledgement, and the event may have been
handled. A `BadNamespaceError` is an emit to a namespace that is not connected: the program has to connect first, so it
is INTERNAL.
"""

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
