"""python-engineio, what python-socketio stands on: the class decides.

`EngineIOError` is the base class, and none of its subclasses carries a code. A `ConnectionError` covers the handshake
and an established connection alike, so nothing here proves that a packet was not sent. A packet that is too long or of
an unknown type comes from the peer, and a retry meets it again.
"""

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
