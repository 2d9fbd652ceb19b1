"""socket, from the standard library: names that cannot be resolved.

Both errors come before there is an address to connect to. Everything else that a socket raises is an OSError with an
errno, which Python's own rules classify.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(C.NETWORK, "gaierror herror"),
        "_GiveupOnSendfile": C.INTERNAL,
    },
    never_sent=classes(True, "gaierror herror"),
)
