"""SQLAlchemy: the exception of the driver decides, which is in `orig`.

The DB-API classes are SQLAlchemy's own wrappers, chosen by the class of the driver's exception. Where the driver is
not known, or its class tells too little, `connection_invalidated` still does: the dialect knows how its driver says
that the connection is gone. The async dialects put one more wrapper between, made to look like a DB-API.

A `TimeoutError` of the pool proves that nothing was sent, unless it is the second pool that a session's transaction
asks, and a `DBAPIError` proves it where the driver's exception does. SQLAlchemy sends a statement once. A
`StaleDataError` is CONFLICT: an update matched fewer rows than the session expected, so the unit of work has to be
loaded again.
"""

from resilience._safe_access import safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_sqlstate
from resilience.classification.frames import frames_of
from resilience.classification.library import CategoryRow, ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes, wrapped_category, wrapped_or


def _driver_or(default: C) -> CategoryRow:
    def row(exc: BaseException) -> C:
        category = wrapped_category(exc, "orig") or default
        kept = category in C.TRANSIENT or category is C.CONFIGURATION
        if not kept and safe_getattr(exc, "connection_invalidated") is True:
            return C.NETWORK
        return category

    return row


def _adapted(exc: BaseException) -> Match | C | None:
    return by_sqlstate(exc) or wrapped_category(exc, "orig", "__cause__")


def _has_no_connection(exc: BaseException) -> bool:
    """Return whether the session that waited for a pool has no connection yet; one of several databases is another."""
    waited = [frame.f_locals.get("self") for frame in frames_of(exc) if frame.f_code.co_name == "_connection_for_bind"]
    return not any(safe_getattr(transaction, "_connections") for transaction in waited)


LIBRARY = ClientLibrary(
    {
        "SQLAlchemyError": C.UNKNOWN,
        "HasDescriptionCode": C.UNKNOWN,
        "StatementError": wrapped_or(C.VALIDATION, "orig"),  # the parameters do not fit the statement
        "DBAPIError": _driver_or(C.DEPENDENCY),
        "OperationalError": _driver_or(C.DEPENDENCY),
        "InterfaceError": _driver_or(C.INTERNAL),
        "InternalError": _driver_or(C.SERVER_ERROR),
        "IntegrityError": _driver_or(C.CONFLICT),
        "DataError": _driver_or(C.VALIDATION),
        "ProgrammingError": _driver_or(C.INTERNAL),
        "NotSupportedError": _driver_or(C.CONFIGURATION),
        "TimeoutError": C.TIMEOUT,  # no connection became free in the pool
        **classes(C.NETWORK, "DisconnectionError InvalidatePoolError"),
        "NoResultFound": C.NOT_FOUND,
        "MultipleResultsFound": C.CONFLICT,
        "StaleDataError": C.CONFLICT,  # another transaction changed the row
        "ObjectDeletedError": C.NOT_FOUND,
        # Mistakes of the calling program.
        **classes(C.INTERNAL, "ArgumentError CompileError InvalidRequestError IdentifierError"),
        **classes(C.INTERNAL, "CircularDependencyError DetachedInstanceError FlushError ObjectDereferencedError"),
        **classes(C.INTERNAL, "_OptGetColumnsNotAvailable _CleanupError"),
        **classes(C.CONFIGURATION, "NoSuchModuleError NoDBAPILoaded"),
        **classes(C.UNAVAILABLE, "Empty Full"),
        # The async dialects give their drivers' errors the classes of a DBAPI.
        "EmulatedDBAPIException": _adapted,
        "AsyncAdapt_Error": _adapted,
        **classes(C.UNKNOWN, "DBAPIModule.Error DBAPIModule.IntegrityError"),
        **classes(C.UNKNOWN, "DBAPIModule.InterfaceError DBAPIModule.OperationalError"),
    },
    never_sent={
        "TimeoutError": _has_no_connection,
        "DBAPIError": ("orig",),
        **classes(("__cause__",), "EmulatedDBAPIException AsyncAdapt_Error"),
    },
    sends_once=True,
)
