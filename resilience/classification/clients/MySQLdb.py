# ruff: noqa: N999 - named like the library
"""mysqlclient, which is imported as MySQLdb: the error number decides, which is the first argument."""

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
