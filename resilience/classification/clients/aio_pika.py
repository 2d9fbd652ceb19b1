"""aio-pika: errors of the broker are aiormq's; these are of its queues, pools and patterns.

aio-pika imports aiormq's classes and raises those for everything that the broker refuses, so this table has only its
own. A `NackMessage` or `RejectMessage` is control flow: a handler raises it to answer a message, and the pattern's
worker turns it into a reply to the broker. An empty queue is a `QueueEmpty`, which is asyncio's class too.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "QueueEmpty": C.NOT_FOUND,
        "MessageProcessError": C.CONFLICT,  # acknowledged twice
        **classes(C.CANCELLED, "NackMessage RejectMessage MessageProcessingError"),  # how a handler answers
        **classes(C.DEPENDENCY, "JsonRPCError RPCException"),
        "PoolInvalidStateError": C.INTERNAL,
    },
)
