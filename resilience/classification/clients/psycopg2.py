"""psycopg2: the SQLSTATE decides, in `pgcode`, and the DB-API class where there is none.

An `OperationalError` without a SQLSTATE comes from libpq: no connection was made, or one was lost; libpq does not tell
which, nor does it hand out the SQLSTATE of a refused password. An `InterfaceError` is a connection or cursor that is
closed. Each SQLSTATE has a class of its own in `psycopg2.errors`, below that of its kind.

The mapping of SQLSTATE to meaning is that of `resilience.classification.sqlstate`, after appendix A of PostgreSQL's
manual. As libpq gives no proof, a failed statement of psycopg2 always counts as one that may have been sent.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_sqlstate
from resilience.classification.clients._dbapi import dbapi_classes
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **dbapi_classes(by_sqlstate, operational=C.NETWORK, interface=C.NETWORK),
        "PoolError": C.UNAVAILABLE,  # every connection of the pool is in use
        **classes(C.CANCELLED, "StopReplication"),
        **classes(C.INTERNAL, "Warning"),
        # The classes that stand directly below DatabaseError, which says nothing.
        **classes(C.UNAVAILABLE, "SnapshotTooOld"),
        **classes(C.AUTHENTICATION, "InvalidRoleSpecification"),
        **classes(C.NOT_FOUND, "NoData NoAdditionalDynamicResultSetsReturned CaseNotFound"),
        **classes(C.VALIDATION, "InvalidArgumentForXquery InvalidLocatorSpecification LocatorException"),
        **classes(C.INTERNAL, "DiagnosticsException StackedDiagnosticsAccessedWithoutActiveHandler"),
        **classes(C.INTERNAL, "InvalidTransactionInitiation SqlStatementNotYetComplete"),
        **classes(C.AUTHORIZATION, "InvalidGrantOperation InvalidGrantor"),
        "TriggeredActionException": C.SERVER_ERROR,
    },
    sends_once=True,
)
