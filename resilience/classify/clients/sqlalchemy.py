"""SQLAlchemy: what the driver raised is in `orig`, and says most."""

from collections.abc import Callable

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import inside, inside_or, named
from resilience.classify.look import Found, attribute
from resilience.classify.structure import by_sqlstate


def _driver_or(default: C) -> Callable[[BaseException], C]:
    def row(exc: BaseException) -> C:
        said = inside(exc, "orig") or default
        # The dialect knows the ways in which its driver says that the connection is gone.
        lost = attribute(exc, "connection_invalidated") is True and said not in C.TRANSIENT
        return C.NETWORK if lost and said is not C.CONFIGURATION else said

    return row


def _adapted(exc: BaseException) -> Found | C | None:
    return by_sqlstate(exc) or inside(exc, "orig", "__cause__")


ROWS: Rows = {
    "SQLAlchemyError": C.UNKNOWN,
    "HasDescriptionCode": C.UNKNOWN,
    "StatementError": inside_or(C.VALIDATION, "orig"),  # the parameters do not fit the statement
    "DBAPIError": _driver_or(C.DEPENDENCY),
    "OperationalError": _driver_or(C.DEPENDENCY),
    "InterfaceError": _driver_or(C.INTERNAL),
    "InternalError": _driver_or(C.SERVER_ERROR),
    "IntegrityError": _driver_or(C.CONFLICT),
    "DataError": _driver_or(C.VALIDATION),
    "ProgrammingError": _driver_or(C.INTERNAL),
    "NotSupportedError": _driver_or(C.CONFIGURATION),
    "TimeoutError": C.TIMEOUT,  # no connection became free in the pool
    **named(C.NETWORK, "DisconnectionError InvalidatePoolError"),
    "NoResultFound": C.NOT_FOUND,
    "MultipleResultsFound": C.CONFLICT,
    "StaleDataError": C.CONFLICT,  # somebody else changed the row
    "ObjectDeletedError": C.NOT_FOUND,
    # Mistakes of the calling program.
    **named(C.INTERNAL, "ArgumentError CompileError InvalidRequestError IdentifierError CircularDependencyError"),
    **named(C.INTERNAL, "DetachedInstanceError FlushError ObjectDereferencedError _OptGetColumnsNotAvailable"),
    "_CleanupError": C.INTERNAL,
    **named(C.CONFIGURATION, "NoSuchModuleError NoDBAPILoaded"),
    **named(C.UNAVAILABLE, "Empty Full"),
    # The async dialects give their drivers' errors the classes of a DBAPI.
    "EmulatedDBAPIException": _adapted,
    "AsyncAdapt_Error": _adapted,
    **named(C.UNKNOWN, "DBAPIModule.Error DBAPIModule.IntegrityError"),
    **named(C.UNKNOWN, "DBAPIModule.InterfaceError DBAPIModule.OperationalError"),
}
