"""redis, sync, asyncio and cluster.

The server's error replies arrive as subclasses of `ResponseError`, chosen by the first word of the reply; the base
class is left for a command that the server refuses as it is. A `ConnectionError` keeps the failure of the socket as
its cause or context. redis-py retries by itself (3 times by default since 6.0) and counts that in `failures`, before
the exception is raised.

A refused connection proves that nothing was sent where the cause proves it, and so does an empty pool. LOADING,
READONLY, TRYAGAIN and CLUSTERDOWN are replies that pass with time, and a retry after a fail-over reaches the new
primary.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.frames import at_most, not_yet_bound, variable
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.tables import classes, wrapped_or

_NO_RETRY_YET = variable("failures", at_most(1), missing=False)
_NO_CONNECTION_YET = not_yet_bound("conn", bound=None)

LIBRARY = ClientLibrary(
    {
        "RedisError": C.UNKNOWN,
        "ConnectionError": C.NETWORK,
        "InvalidResponse": C.NETWORK,  # client and server are out of step; a new connection is not
        "TimeoutError": C.TIMEOUT,
        "ResponseError": C.VALIDATION,
        "BusyLoadingError": C.UNAVAILABLE,
        "ReadOnlyError": C.UNAVAILABLE,  # a fail-over is going on: the primary is somewhere else
        "TryAgainError": C.UNAVAILABLE,
        **classes(C.UNAVAILABLE, "ClusterError ClusterDownError MasterDownError SlotNotCoveredError"),
        **classes(C.UNAVAILABLE, "AskError MovedError MasterNotFoundError SlaveNotFoundError"),
        "MaxConnectionsError": C.CAPACITY,  # the client's own pool is empty; a retry at once lengthens the queue
        "OutOfMemoryError": C.CAPACITY,
        **classes(C.AUTHENTICATION, "AuthenticationError ExternalAuthProviderError RequestTokenErr TokenRenewalErr"),
        "InvalidTokenSchemaErr": C.AUTHENTICATION,
        **classes(C.AUTHORIZATION, "AuthorizationError NoPermissionError"),
        **classes(C.VALIDATION, "DataError ClusterCrossSlotError CrossSlotTransactionError ExecAbortError"),
        **classes(C.CONFLICT, "WatchError LockError LockNotOwnedError"),
        **classes(C.NOT_FOUND, "NoScriptError NoSuchFieldsetError"),
        **classes(C.CONFIGURATION, "ModuleError AuthenticationWrongNumberOfArgsError"),
        "RedisClusterException": wrapped_or(C.DEPENDENCY),
        **classes(C.INTERNAL, "PubSubError InvalidPipelineStack ChildDeadlockedError"),
        **classes(C.INTERNAL, "IncorrectPolicyType EventException"),
        "HttpError": by_status,
        **classes(C.UNAVAILABLE, "InitialHealthCheckFailedError NoValidDatabaseException"),
        "TemporaryUnavailableException": C.UNAVAILABLE,
        "UnhealthyDatabaseException": wrapped_or(C.UNAVAILABLE, "original_exception"),
    },
    never_sent={"MaxConnectionsError": True, "ConnectionError": ("__cause__", "__context__")},
    prior_requests=PriorRequests(
        {
            "retry.call_with_retry": _NO_RETRY_YET,
            "asyncio.retry.call_with_retry": _NO_RETRY_YET,
            "client._execute_command": _NO_CONNECTION_YET,
            "client.execute_command": _NO_CONNECTION_YET,
            "asyncio.client.execute_command": _NO_CONNECTION_YET,
        },
        callers=(
            "execute wrapper async_wrapper get_connection ensure_connection connect initialize __aenter__ load_scripts"
            " immediate_execute_command"
        ),
        one_request_in="commands",
    ),
)
