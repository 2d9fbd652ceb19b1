"""mysql-connector-python: the error number decides, in `errno`, then the SQLSTATE, then the class.

The class is chosen by the SQLSTATE alone: a refused connection is an `InterfaceError` of SQLSTATE class 08.

mysql-connector-python keeps `errno`, `sqlstate` and `msg`. Its `errors.get_mysql_exception` maps classes of SQLSTATE
to the classes of PEP 249, from which a deadlock (1213) arrives as an `InternalError`; the number is therefore looked
up first. An exhausted pool is UNAVAILABLE, as a connection may be returned soon.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_sqlstate
from resilience.classification.clients._dbapi import dbapi_classes
from resilience.classification.clients._mysql import MYSQL_ERRORS
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import by_code, classes

_number = by_code(MYSQL_ERRORS, "MySQL error", "errno")


def _code(exc: BaseException) -> Match | None:
    return _number(exc) or by_sqlstate(exc)


LIBRARY = ClientLibrary(
    {
        **dbapi_classes(_code, operational=C.DEPENDENCY, interface=C.INTERNAL),
        **classes(C.TIMEOUT, "ConnectionTimeoutError ReadTimeoutError WriteTimeoutError"),
        "PoolError": C.UNAVAILABLE,  # every connection of the pool is in use
        "Warning": C.INTERNAL,
    },
    sends_once=True,
)
