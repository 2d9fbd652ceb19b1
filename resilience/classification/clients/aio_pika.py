"""aio-pika: errors of the broker are aiormq's; these are of its queues, pools and patterns."""

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
