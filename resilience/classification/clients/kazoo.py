"""kazoo, the ZooKeeper client: the class decides.

Classes for answers of the server derive from `ZookeeperError` and have the code of ZooKeeper's `KeeperException.java`
in the class attribute `code`; the others are the client's own. A `ConnectionLoss` leaves open whether a write was
applied. A `SessionExpiredError` has cost the client its ephemeral nodes and locks, which the program has to make
again.

`RetryFailedError` means that kazoo's own `KazooRetry` has exhausted its tries; a `ForceRetryError` is its control
flow. A version that does not match and a node that exists are CONFLICT and are never retried unchanged.
"""

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
