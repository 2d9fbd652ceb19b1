"""asyncpg: the SQLSTATE of the server decides; errors of the client itself have classes of their own.

All errors that PostgreSQL reports are `PostgresError`s with a `sqlstate`. `InterfaceError`s are about the use of the
client, such as a connection that already runs a statement, or a connection that is gone. A refused connection is a
plain OSError.

asyncpg generates one class for each SQLSTATE in `asyncpg/exceptions/__init__.py`, so `by_sqlstate` answers for all of
them. Deadlocks and serialization failures (class 40) are UNAVAILABLE there. A `TargetServerAttributeNotMatched` is a
cluster without a primary at this moment, so it may be retried as well.
"""

from resilience._safe_access import as_str
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_sqlstate
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, first_argument


def _interface(exc: BaseException) -> C:
    """Tell a connection that is gone from a wrong use of the client: asyncpg does so by the message alone."""
    text = as_str(first_argument(exc)) or ""
    return C.NETWORK if any(phrase in text for phrase in _GONE) else C.INTERNAL


def _internal(exc: BaseException) -> C:
    """Tell a connection that was lost between two statements from other faults of the client.

    Two statements at once on a connection are refused by an `InterfaceError` before this check of the protocol's state.
    """
    text = as_str(first_argument(exc)) or ""
    return C.NETWORK if text.startswith("cannot switch to state") else C.INTERNAL


_GONE = ("connection is closed", "connection was closed", "connection has been closed", "connection is no longer")

LIBRARY = ClientLibrary(
    {
        "PostgresError": by_sqlstate,
        "ProtocolViolationError": C.INTERNAL,
        "DataError": C.VALIDATION,  # the server's and the client's are both called so
        "InterfaceError": _interface,
        "InvalidCachedStatementError": C.CONFLICT,  # the schema changed under a prepared statement
        "ClientConfigurationError": C.CONFIGURATION,
        **classes(C.CONFIGURATION, "UnsupportedClientFeatureError UnsupportedServerFeatureError"),
        "InternalClientError": _internal,
        "ProtocolError": C.NETWORK,  # the stream is out of step
        "OutdatedSchemaCacheError": C.CONFLICT,  # the schema changed under a transaction: begin it anew
        "TargetServerAttributeNotMatched": C.UNAVAILABLE,  # no primary among the hosts, for now
        "BufferError": C.INTERNAL,
        **classes(C.NETWORK, "_NextHostSignal _RetryConnectSignal"),
        "ClusterError": C.CONFIGURATION,
    },
    sends_once=True,
)
