"""cassandra-driver and scylla-driver: the class decides; `NoHostAvailable` goes by what each host answered.

An error that the coordinator sends is an `ErrorMessage`, one class for each error code of the CQL binary protocol;
most are turned into a `DriverException` before the program meets them. A `NoHostAvailable` holds a dict `errors` from
host to exception; one host with a transient failure makes the call worth another attempt.

A read or write timeout is TIMEOUT, since the coordinator waited for replicas and the write may have been applied. A
`ReadFailure` or `WriteFailure` is SERVER_ERROR: a replica reported an error. `Unavailable` comes before the write, yet
the driver's own retry policy may have sent the statement earlier, so nothing here proves that it was not sent.
"""

from typing import cast

from resilience._safe_access import safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification.classifier import classify
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes


def _hosts(exc: BaseException) -> C:
    """Return what stands for the failures of all hosts, of which each one could have answered: the mildest."""
    errors: object = safe_getattr(exc, "errors")
    if not isinstance(errors, dict) or not errors:
        return C.NETWORK
    found = {classify(one) for one in cast("dict[object, object]", errors).values() if isinstance(one, Exception)}
    known = [category for category in found if category is not C.UNKNOWN]
    return next((category for category in known if category in C.TRANSIENT), next(iter(known), C.NETWORK))


LIBRARY = ClientLibrary(
    {
        **classes(C.UNKNOWN, "DriverException RequestExecutionException ErrorMessage ErrorMessageSub"),
        "NoHostAvailable": _hosts,
        **classes(C.NETWORK, "ConnectionException ConnectionShutdown UnresolvableContactPoints"),
        **classes(C.UNAVAILABLE, "ConnectionBusy NoConnectionsAvailable Unavailable UnavailableErrorMessage"),
        **classes(C.UNAVAILABLE, "IsBootstrappingErrorMessage OverloadedErrorMessage"),
        **classes(C.TIMEOUT, "OperationTimedOut Timeout ReadTimeoutErrorMessage WriteTimeoutErrorMessage"),
        **classes(C.SERVER_ERROR, "CoordinationFailure ReadFailureMessage WriteFailureMessage FunctionFailure"),
        **classes(C.SERVER_ERROR, "FunctionFailureMessage CDCWriteFailure CDCWriteException ClientWriteError"),
        **classes(C.SERVER_ERROR, "ServerError TruncateError"),
        **classes(C.AUTHENTICATION, "AuthenticationFailed BadCredentials"),
        **classes(C.AUTHORIZATION, "Unauthorized UnauthorizedErrorMessage"),
        **classes(C.CONFLICT, "AlreadyExists AlreadyExistsException LWTException MultipleObjectsReturned"),
        **classes(C.CONFLICT, "BaseModel.MultipleObjectsReturned NamedTable.MultipleObjectsReturned"),
        **classes(C.NOT_FOUND, "DoesNotExist UserTypeDoesNotExist BaseModel.DoesNotExist NamedTable.DoesNotExist"),
        **classes(C.NOT_FOUND, "TraceUnavailable"),
        "PreparedQueryNotFound": C.UNAVAILABLE,  # prepared anew by the next attempt
        **classes(C.VALIDATION, "RequestValidationException ValidationError IfNotExistsWithCounterColumn"),
        **classes(C.VALIDATION, "IfExistsWithCounterColumn"),
        "SyntaxException": C.INTERNAL,
        **classes(C.CONFIGURATION, "ConfigurationException ProtocolVersionUnsupported DependencyException NoMurmur3"),
        **classes(C.CONFIGURATION, "UnsupportedOperation UndefinedKeyspaceException NotSupportedError"),
        **classes(C.DEPENDENCY, "ProtocolError ProtocolException CrcException CrcMismatchException"),
        **classes(C.INTERNAL, "CQLEngineException InternalError QueryOperatorException StatementException"),
        **classes(C.CANCELLED, "QueryExhausted ConnectionHeartbeat.ShutdownException"),
        **classes(C.CANCELLED, "MonitorReporter.ShutDownException"),
    },
)
