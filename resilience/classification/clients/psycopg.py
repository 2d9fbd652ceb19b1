"""psycopg 3, sync and async: the SQLSTATE decides, and the DB-API class where there is none.

An `OperationalError` without a SQLSTATE comes from libpq: no connection was made, or one was lost. Its `pgconn` is set
only where it was raised while connecting, which proves that no statement was sent.

psycopg has one class for each SQLSTATE in `psycopg.errors`, with the code in `sqlstate`; deadlocks and serialization
failures are UNAVAILABLE. The pool's `PoolTimeout` is an `OperationalError` without a SQLSTATE.
"""

from resilience._safe_access import safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_sqlstate
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, response_or


def _while_connecting(exc: BaseException) -> bool:
    # "The connection object, if the error was raised from a connection attempt", says psycopg.
    return safe_getattr(exc, "pgconn") is not None


LIBRARY = ClientLibrary(
    {
        "Error": response_or(by_sqlstate, C.UNKNOWN),
        "OperationalError": response_or(by_sqlstate, C.NETWORK),
        **classes(C.TIMEOUT, "ConnectionTimeout CancellationTimeout _WaitTimeout"),
        "PipelineAborted": C.CONFLICT,  # an earlier statement of the pipeline failed
        "IntegrityError": response_or(by_sqlstate, C.CONFLICT),
        "DataError": response_or(by_sqlstate, C.VALIDATION),
        "ProgrammingError": response_or(by_sqlstate, C.INTERNAL),
        "InterfaceError": response_or(by_sqlstate, C.INTERNAL),
        "InternalError": response_or(by_sqlstate, C.SERVER_ERROR),
        "NotSupportedError": response_or(by_sqlstate, C.CONFIGURATION),
        **classes(C.INTERNAL, "Warning Rollback OutOfOrderTransactionNesting"),
    },
    never_sent={"ConnectionTimeout": True, "OperationalError": _while_connecting},
    sends_once=True,
)
