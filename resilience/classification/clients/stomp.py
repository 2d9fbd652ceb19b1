"""stomp.py: the class decides."""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "StompException": C.UNKNOWN,
        **classes(C.NETWORK, "ConnectFailedException ConnectionClosedException NotConnectedException"),
        "InterruptedException": C.CANCELLED,
    },
    never_sent={"ConnectFailedException": True},
)
