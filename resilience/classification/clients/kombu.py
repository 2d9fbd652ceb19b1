"""kombu, what Celery sends by: an `OperationalError` has the failure of the transport as its cause."""

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
