"""kazoo, the ZooKeeper client: the class decides."""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(C.UNKNOWN, "KazooException ZookeeperError"),
        **classes(C.TIMEOUT, "KazooTimeoutError OperationTimeoutError RequestTimeoutError LockTimeout"),
        **classes(C.NETWORK, "ConnectionDropped ConnectionLoss SessionExpiredError SessionMovedError"),
        **classes(C.NETWORK, "UnknownSessionError ConnectionClosedError"),
        **classes(C.UNAVAILABLE, "RetryFailedError ForceRetryError ReconfigInProcessError NewConfigNoQuorumError"),
        **classes(C.CANCELLED, "CancelledError InterruptedError RWServerAvailable"),
        **classes(C.AUTHENTICATION, "AuthFailedError SASLException SessionClosedRequireSaslError"),
        "NoAuthError": C.AUTHORIZATION,
        **classes(C.NOT_FOUND, "NoNodeError NoWatcherError"),
        **classes(C.CONFLICT, "NodeExistsError BadVersionError NotEmptyError RolledBackError NotReadOnlyCallError"),
        "ThrottledOpError": C.RATE_LIMIT,
        "QuotaExceededError": C.CAPACITY,
        **classes(C.VALIDATION, "BadArgumentsError InvalidACLError MarshallingError NoChildrenForEphemeralsError"),
        **classes(C.VALIDATION, "EphemeralOnLocalSessionError"),
        **classes(C.CONFIGURATION, "ConfigurationError ReconfigDisabledError UnimplementedError"),
        **classes(C.SERVER_ERROR, "APIError SystemZookeeperError RuntimeInconsistency DataInconsistency"),
        **classes(C.INTERNAL, "InvalidCallbackError ZookeeperStoppedError WriterNotClosedException"),
    },
)
