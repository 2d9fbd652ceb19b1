"""asyncpg: the SQLSTATE of the server decides; errors of the client itself have classes of their own.

All errors that PostgreSQL reports are `PostgresError`s with a `sqlstate`. `InterfaceError`s are about the use of the
client: a pool that is closed, a connection that already runs a statement. A refused connection is a plain OSError.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_sqlstate
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "PostgresError": by_sqlstate,
        "ProtocolViolationError": C.INTERNAL,
        "DataError": C.VALIDATION,  # the server's and the client's are both called so
        "InterfaceError": C.INTERNAL,
        "ClientConfigurationError": C.CONFIGURATION,
        **classes(C.CONFIGURATION, "UnsupportedClientFeatureError UnsupportedServerFeatureError"),
        "InternalClientError": C.INTERNAL,
        "ProtocolError": C.NETWORK,  # the stream is out of step
        "OutdatedSchemaCacheError": C.CONFLICT,  # the schema changed under a transaction: begin it anew
        "TargetServerAttributeNotMatched": C.UNAVAILABLE,  # no primary among the hosts, for now
        "BufferError": C.INTERNAL,
        **classes(C.NETWORK, "_NextHostSignal _RetryConnectSignal"),
        "ClusterError": C.CONFIGURATION,
    },
    sends_once=True,
)
