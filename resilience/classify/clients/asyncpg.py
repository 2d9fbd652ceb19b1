"""asyncpg."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named
from resilience.classify.structure import by_sqlstate

ROWS: Rows = {
    "PostgresError": by_sqlstate,
    "ProtocolViolationError": C.INTERNAL,
    "DataError": C.VALIDATION,  # the server's and the client's are both called so
    "InterfaceError": C.INTERNAL,
    **named(C.CONFIGURATION, "ClientConfigurationError UnsupportedClientFeatureError UnsupportedServerFeatureError"),
    "InternalClientError": C.INTERNAL,
    "ProtocolError": C.NETWORK,  # the stream is out of step
    "OutdatedSchemaCacheError": C.CONFLICT,  # the schema changed under a transaction: begin it anew
    "TargetServerAttributeNotMatched": C.UNAVAILABLE,  # no primary among the hosts, for now
    "BufferError": C.INTERNAL,
    **named(C.NETWORK, "_NextHostSignal _RetryConnectSignal"),
    "ClusterError": C.CONFIGURATION,
}
