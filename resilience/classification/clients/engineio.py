"""python-engineio, what python-socketio stands on: the class decides."""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "EngineIOError": C.UNKNOWN,
        **classes(C.NETWORK, "ConnectionError SocketIsClosedError"),
        "QueueEmpty": C.NOT_FOUND,
        "ContentTooLongError": C.VALIDATION,
        "UnknownPacketError": C.DEPENDENCY,
    },
)
