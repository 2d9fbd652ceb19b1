"""pymssql: the error number decides, of SQL Server or of DB-Library, which is the first argument or its first item.

pymssql has two layers. `_mssql` raises `MSSQLDatabaseException` with `number`, `severity` and `state`; the DB-API
layer raises the classes of PEP 249 with number and message as arguments. Numbers of 20000 to 20999 come from FreeTDS,
the others from SQL Server's `sys.messages`. 1205 is a deadlock, and 40501 and 49918 are a busy Azure SQL database.
"""

from typing import cast

from resilience._safe_access import as_int, int_attribute
from resilience.categories import ErrorCategory as C
from resilience.classification.clients._dbapi import dbapi_classes
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes, first_argument, lookup

_CODES: dict[int, C] = {
    # DB-Library's own.
    **dict.fromkeys((20002, 20004, 20006, 20009, 20017, 20047), C.NETWORK),
    20003: C.TIMEOUT,
    # SQL Server's.
    **dict.fromkeys((1205, 3960, 40143, 40197, 40501, 40613, 49918, 49919, 49920, 10928, 10929, 4060), C.UNAVAILABLE),
    **dict.fromkeys((1222, 3617), C.TIMEOUT),  # waited too long for a lock
    **dict.fromkeys((10053, 10054, 10060, 10061, 233, 64), C.NETWORK),
    **dict.fromkeys((701, 1101, 1105, 9002, 40544, 8645), C.CAPACITY),
    **dict.fromkeys((18456, 18452, 18470, 18486, 18487, 18488), C.AUTHENTICATION),
    **dict.fromkeys((229, 230, 262, 297, 300, 916, 15247), C.AUTHORIZATION),
    **dict.fromkeys((547, 2601, 2627, 2714, 3702), C.CONFLICT),
    **dict.fromkeys((220, 241, 242, 245, 515, 2628, 8114, 8115, 8134, 8152), C.VALIDATION),
    **dict.fromkeys((102, 105, 156, 201, 207, 208, 2812, 4104, 8144), C.INTERNAL),
    **dict.fromkeys((911, 40532), C.CONFIGURATION),
}


def _number(exc: BaseException) -> Match | None:
    first = first_argument(exc)
    if isinstance(first, tuple):
        first = next(iter(cast("tuple[object, ...]", first)), None)
    number = as_int(first)
    if number is None:
        number = int_attribute(exc, "number")
    return lookup(_CODES, number, "SQL Server error")


LIBRARY = ClientLibrary(
    {
        **dbapi_classes(_number, operational=C.DEPENDENCY, interface=C.NETWORK),
        "ColumnsWithoutNamesError": C.INTERNAL,
        "Warning": C.INTERNAL,
        **classes(_number, "MSSQLException MSSQLDatabaseException"),
        "MSSQLDriverException": C.NETWORK,  # not connected
    },
    sends_once=True,
)
