"""PyMySQL, and so aiomysql: the error number decides, which is the first argument.

The class is chosen by the number too, but coarsely: an OperationalError may be a refused connection, a deadlock or a
wrong password.

The numbers 2002, 2003 and 2005 of an `OperationalError` come from connecting and prove that nothing was sent. 2006 and
2013 are a connection that was lost, and the statement may have been carried out. 1213, a deadlock, was rolled back.
"""

from resilience._safe_access import as_int, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification.clients._mysql import MYSQL_ERRORS
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import by_code, classes, first_argument, response_or

_NO_CONNECTION = {2002, 2003, 2005}  # a socket, host or name it cannot connect to; 2006 and 2013 were connected
_number = by_code(MYSQL_ERRORS, "MySQL error")


def _interface(exc: BaseException) -> C:
    # A connection that is closed answers every command with InterfaceError(0, "").
    return C.NETWORK if safe_getattr(exc, "args") == (0, "") else C.INTERNAL


def _while_connecting(exc: BaseException) -> bool:
    return as_int(first_argument(exc)) in _NO_CONNECTION


LIBRARY = ClientLibrary(
    {
        "MySQLError": response_or(_number, C.UNKNOWN),
        "OperationalError": response_or(_number, C.DEPENDENCY),
        "InterfaceError": _interface,
        "IntegrityError": response_or(_number, C.CONFLICT),
        "DataError": response_or(_number, C.VALIDATION),
        "ProgrammingError": response_or(_number, C.INTERNAL),
        "InternalError": response_or(_number, C.SERVER_ERROR),
        "NotSupportedError": response_or(_number, C.CONFIGURATION),
        **classes(C.INTERNAL, "Warning"),
    },
    never_sent={"OperationalError": _while_connecting},
    sends_once=True,
)
