"""neo4j: the class decides, which the driver chooses by the server's code.

A connection that cannot be made is a `ServiceUnavailable`. The driver retries managed transactions by itself.

A `Neo4jError` keeps the server's code, such as ``Neo.TransientError.Transaction.DeadlockDetected``, and its second
part is the class. `is_retryable()` agrees with this table for transient errors. An `IncompleteCommit` is a connection
lost while a transaction was being committed: the server may have stored it, and only an idempotent call is repeated.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, wrapped_or

LIBRARY = ClientLibrary(
    {
        **classes(C.UNKNOWN, "GqlError Neo4jError DriverError BoltError"),
        "ServiceUnavailable": wrapped_or(C.NETWORK, "__cause__"),
        **classes(C.UNAVAILABLE, "RoutingServiceUnavailable ReadServiceUnavailable WriteServiceUnavailable"),
        **classes(C.NETWORK, "SessionExpired IncompleteCommit BoltConnectionError BoltProtocolError"),
        **classes(C.UNAVAILABLE, "TransientError DatabaseUnavailable NotALeader ForbiddenOnReadOnlyDatabase"),
        **classes(C.TIMEOUT, "ConnectionAcquisitionTimeoutError SocketDeadlineExceededError"),
        "ConnectionPoolError": C.UNAVAILABLE,
        **classes(C.AUTHENTICATION, "AuthError TokenExpired"),
        "Forbidden": C.AUTHORIZATION,
        "ClientError": C.VALIDATION,
        "ConstraintError": C.CONFLICT,
        **classes(C.INTERNAL, "CypherSyntaxError CypherTypeError NonConcurrentMethodError"),
        "DatabaseError": C.SERVER_ERROR,
        **classes(C.CONFIGURATION, "ConfigurationError BoltHandshakeError"),
        "BoltSecurityError": wrapped_or(C.CONFIGURATION, "__cause__"),  # also of a connection that broke meanwhile
        **classes(C.INTERNAL, "TransactionError SessionError ResultError"),
        "ResultNotSingleError": C.CONFLICT,
        "BrokenRecordError": C.DEPENDENCY,
        "QueryApiHttpError": by_status,
    },
)
