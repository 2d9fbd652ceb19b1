"""stomp.py: the class decides.

A `StompException` carries no code. A `ConnectFailedException` comes after all attempts to connect, and also where the
broker has answered the first frame with an error, so it is no proof that nothing was sent. stomp.py hands an ERROR
frame of the broker to a listener and raises nothing for it, so a refused message does not reach a policy.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "StompException": C.UNKNOWN,
        **classes(C.NETWORK, "ConnectFailedException ConnectionClosedException NotConnectedException"),
        "InterruptedException": C.CANCELLED,
    },
)
