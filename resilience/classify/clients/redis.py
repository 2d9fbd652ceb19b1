"""redis."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import inside_or, named
from resilience.classify.structure import by_status

ROWS: Rows = {
    "RedisError": C.UNKNOWN,
    "ConnectionError": C.NETWORK,
    "InvalidResponse": C.NETWORK,  # the two sides are out of step; a new connection is not
    "TimeoutError": C.TIMEOUT,
    "ResponseError": C.VALIDATION,  # the server refuses the command as it is; what heals has a class of its own
    "BusyLoadingError": C.UNAVAILABLE,
    "ReadOnlyError": C.UNAVAILABLE,  # a fail-over is going on: the primary is somewhere else
    "TryAgainError": C.UNAVAILABLE,
    **named(C.UNAVAILABLE, "ClusterError ClusterDownError MasterDownError SlotNotCoveredError AskError MovedError"),
    **named(C.UNAVAILABLE, "MasterNotFoundError SlaveNotFoundError"),
    "MaxConnectionsError": C.CAPACITY,  # our own pool is empty; trying at once again only lengthens the queue
    "OutOfMemoryError": C.CAPACITY,
    **named(C.AUTHENTICATION, "AuthenticationError ExternalAuthProviderError RequestTokenErr TokenRenewalErr"),
    "InvalidTokenSchemaErr": C.AUTHENTICATION,
    **named(C.AUTHORIZATION, "AuthorizationError NoPermissionError"),
    **named(C.VALIDATION, "DataError ClusterCrossSlotError CrossSlotTransactionError ExecAbortError"),
    **named(C.CONFLICT, "WatchError LockError LockNotOwnedError"),
    **named(C.NOT_FOUND, "NoScriptError NoSuchFieldsetError"),
    **named(C.CONFIGURATION, "ModuleError AuthenticationWrongNumberOfArgsError"),
    "RedisClusterException": inside_or(C.DEPENDENCY),
    **named(C.INTERNAL, "PubSubError InvalidPipelineStack ChildDeadlockedError IncorrectPolicyType EventException"),
    "HttpError": by_status,
    **named(C.UNAVAILABLE, "InitialHealthCheckFailedError NoValidDatabaseException TemporaryUnavailableException"),
    "UnhealthyDatabaseException": inside_or(C.UNAVAILABLE, "original_exception"),
}
