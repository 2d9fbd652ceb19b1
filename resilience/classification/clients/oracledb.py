"""python-oracledb: the number of the error decides: ORA of the server, DPY and DPI of the driver.

The first argument is an object with `code`, the number of an ORA error, and `full_code`, such as ``DPY-6005``. Where
the number is not known, the exception that the driver was handling decides, then `isrecoverable`, then the class.

The server's numbers are those of Oracle's Database Error Messages, the driver's those of python-oracledb's `errors.py`
(thin mode, DPY) and ODPI-C (thick mode, DPI). ORA-00054 and ORA-00060, a busy row and a deadlock, are UNAVAILABLE. An
unknown number of an `OperationalError` stays DEPENDENCY.
"""

from resilience._safe_access import as_str, int_attribute, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification.clients._dbapi import dbapi_classes
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes, first_argument, lookup, wrapped_category

SERVER_ERRORS: dict[int, C] = {
    **dict.fromkeys((3113, 3114, 3135, 12541, 12543, 12545, 12547, 12537, 28, 2396), C.NETWORK),
    **dict.fromkeys((1013, 12170, 12535, 12606, 12609, 30006, 51), C.TIMEOUT),
    **dict.fromkeys((54, 60, 8177, 4068, 1033, 1034, 1089, 1090, 1092, 12514, 12516, 12528, 16456), C.UNAVAILABLE),
    **dict.fromkeys((18, 20, 1652, 1653, 1654, 1536, 4031, 4030, 12518, 12519, 12520, 257, 19809), C.CAPACITY),
    **dict.fromkeys((1005, 1017, 28001, 28002), C.AUTHENTICATION),
    **dict.fromkeys((1031, 1045, 1749, 28000), C.AUTHORIZATION),
    **dict.fromkeys((12154, 12505, 12521), C.CONFIGURATION),  # no such service or alias
    **dict.fromkeys((1, 2291, 2292, 955, 8002), C.CONFLICT),
    **dict.fromkeys((1400, 1407, 1438, 1722, 1830, 1843, 1858, 1861, 2290, 12899, 1426), C.VALIDATION),
    1403: C.NOT_FOUND,
    **dict.fromkeys((900, 904, 907, 911, 917, 923, 933, 936, 942, 1008, 1036, 6550), C.INTERNAL),
    **dict.fromkeys((600, 603, 7445), C.SERVER_ERROR),
}
DRIVER_ERRORS: dict[str, C] = {
    **classes(C.NETWORK, "DPY-1001 DPY-4011 DPY-6000 DPY-6005 DPI-1010 DPI-1080"),
    **classes(C.TIMEOUT, "DPY-4005 DPY-4024 DPI-1067"),
    **classes(C.UNAVAILABLE, "DPY-6001"),  # the listener knows no such service, for now
    **classes(C.AUTHENTICATION, "DPY-4001 DPY-4012 DPY-4013"),
    **classes(C.CONFIGURATION, "DPY-4000 DPY-4022 DPY-4026 DPY-4027 DPY-6002 DPY-6003 DPY-6006 DPI-1047"),
}


def _code(exc: BaseException) -> Match | C | None:
    error = first_argument(exc)
    name = as_str(safe_getattr(error, "full_code")) or ""
    if name in DRIVER_ERRORS:
        return wrapped_category(exc, "__cause__") or Match(DRIVER_ERRORS[name], f"Oracle error {name}")
    found = lookup(SERVER_ERRORS, int_attribute(error, "code"), "Oracle error ORA")
    if found is None and safe_getattr(error, "isrecoverable") is True:
        return Match(C.NETWORK, f"Oracle error {name} is recoverable")
    return found or wrapped_category(exc, "__cause__")


LIBRARY = ClientLibrary(
    {
        **dbapi_classes(_code, operational=C.DEPENDENCY, interface=C.INTERNAL),
        **classes(C.INTERNAL, "Warning MarkerDetected OutOfPackets"),
    },
    sends_once=True,
)
