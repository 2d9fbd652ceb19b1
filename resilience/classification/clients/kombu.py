"""kombu, what Celery sends by: an `OperationalError` has the failure of the transport as its cause.

kombu raises an `OperationalError` from the transport's exception in `Connection._reraise_as_library_errors`. The cause
is py-amqp's, redis-py's or an OSError, and their tables decide. A `BatchPublishError` is a batch with an uncertain
outcome, and so DEPENDENCY: a retry could publish messages a second time.

`ContentDisallowed` is a message in a serializer that the consumer does not accept, pickle for example, and so
SECURITY. The transports for SQS, Kafka, Consul, Qpid and Redis have a few classes of their own, which have rows here.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, wrapped_or

LIBRARY = ClientLibrary(
    {
        "KombuError": C.UNKNOWN,
        "OperationalError": wrapped_or(C.NETWORK, "__cause__"),
        **classes(C.CAPACITY, "LimitExceeded ConnectionLimitExceeded ChannelLimitExceeded"),
        **classes(C.VALIDATION, "SerializationError"),
        **classes(C.CONFIGURATION, "SerializerNotInstalled VersionMismatch NotBoundError MatcherNotInstalled"),
        "ContentDisallowed": C.SECURITY,
        **classes(C.CONFLICT, "NotEquivalentError LockError MutexHeld InconsistencyError"),
        "MessageStateError": C.INTERNAL,
        **classes(C.NOT_FOUND, "DoesNotExistQueueException UndefinedExchangeException UndefinedQueueException"),
        **classes(C.AUTHORIZATION, "AccessDeniedQueueException"),
        "AuthenticationFailure": C.AUTHENTICATION,
        **classes(C.VALIDATION, "InvalidQueueException"),
        **classes(C.DEPENDENCY, "UnableToSubscribeQueueToTopicException UnableToUnsubscribeQueueFromTopicException"),
        "BatchPublishError": C.DEPENDENCY,
        "HttpError": by_status,
        "NoBrokersAvailable": C.NETWORK,
    },
)
