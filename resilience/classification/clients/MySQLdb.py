# ruff: noqa: N999 - named like the library
"""mysqlclient, which is imported as MySQLdb: the error number decides, which is the first argument.

mysqlclient wraps MySQL's C library. Its classes are those of PEP 249 below `MySQLError`, and each error carries two
arguments, the number and the text. The tables of pymysql and mysql-connector read the same numbers (`_mysql`). An
`InterfaceError` without a known number is a connection that was closed, so it is NETWORK here and may be retried.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.clients._dbapi import dbapi_classes
from resilience.classification.clients._mysql import MYSQL_ERRORS
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import by_code, response_or

_number = by_code(MYSQL_ERRORS, "MySQL error")

LIBRARY = ClientLibrary(
    {
        **dbapi_classes(_number, operational=C.DEPENDENCY, interface=C.NETWORK),
        "MySQLError": response_or(_number, C.UNKNOWN),
        "Warning": C.INTERNAL,
    },
    sends_once=True,
)
