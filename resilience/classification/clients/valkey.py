"""valkey, the fork of redis-py: the class decides, which the client chooses by the word the reply begins with.

A reply that begins with LOADING, READONLY, TRYAGAIN, CLUSTERDOWN, MASTERDOWN, ASK or MOVED is UNAVAILABLE and may be
retried. WRONGPASS and NOAUTH are AUTHENTICATION, NOPERM is AUTHORIZATION, and a reply without a class of its own is a
`ResponseError` and so VALIDATION.

`BusyLoadingError` and `AuthenticationError` are `ConnectionError`s by inheritance, so both have rows of their own.
valkey-py retries by itself where the program configures it, and no frame is read that would show it, so nothing here
proves that a command was not sent.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(C.UNKNOWN, "ValkeyError ValkeyClusterException ClusterError"),
        "ConnectionError": C.NETWORK,
        "TimeoutError": C.TIMEOUT,
        **classes(C.UNAVAILABLE, "BusyLoadingError MasterNotFoundError SlaveNotFoundError ReadOnlyError TryAgainError"),
        **classes(C.UNAVAILABLE, "ClusterDownError MasterDownError SlotNotCoveredError AskError MovedError"),
        **classes(C.UNAVAILABLE, "MaxConnectionsError"),  # of the client's own pool
        "OutOfMemoryError": C.CAPACITY,
        **classes(C.AUTHENTICATION, "AuthenticationError AuthenticationWrongNumberOfArgsError"),
        **classes(C.AUTHORIZATION, "AuthorizationError NoPermissionError"),
        **classes(C.CONFLICT, "WatchError LockError LockNotOwnedError"),
        "NoScriptError": C.NOT_FOUND,
        **classes(C.VALIDATION, "ResponseError DataError ModuleError ExecAbortError ClusterCrossSlotError"),
        "InvalidResponse": C.DEPENDENCY,
        **classes(C.INTERNAL, "PubSubError ChildDeadlockedError VersionMismatchException"),
    },
)
