"""socket, from the standard library: names that cannot be resolved.

Both errors come before there is an address to connect to. Everything else that a socket raises is an OSError with an
errno, which Python's own rules classify.

A `gaierror` has a code of `getaddrinfo` such as EAI_AGAIN or EAI_NONAME. The resolver reports a server that does not
answer and a name that does not exist in ways that differ between systems, so both are NETWORK.
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
