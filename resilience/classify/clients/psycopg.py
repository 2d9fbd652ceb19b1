"""psycopg 3."""

from collections.abc import Callable

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named
from resilience.classify.look import Found
from resilience.classify.structure import by_sqlstate


def _state_or(default: C) -> Callable[[BaseException], Found | C]:
    def row(exc: BaseException) -> Found | C:
        return by_sqlstate(exc) or default

    return row


ROWS: Rows = {
    "Error": _state_or(C.UNKNOWN),
    # Without a SQLSTATE it was libpq that failed: no connection, or one that broke.
    "OperationalError": _state_or(C.NETWORK),
    **named(C.TIMEOUT, "ConnectionTimeout CancellationTimeout _WaitTimeout"),
    "PipelineAborted": C.CONFLICT,  # something before it in the pipeline failed
    "IntegrityError": _state_or(C.CONFLICT),
    "DataError": _state_or(C.VALIDATION),
    "ProgrammingError": _state_or(C.INTERNAL),
    "InterfaceError": _state_or(C.INTERNAL),
    "InternalError": _state_or(C.SERVER_ERROR),
    "NotSupportedError": _state_or(C.CONFIGURATION),
    **named(C.INTERNAL, "Warning Rollback OutOfOrderTransactionNesting"),
}
