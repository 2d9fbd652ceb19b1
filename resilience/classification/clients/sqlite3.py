"""sqlite3, from the standard library: the result code decides, which tells more than the class.

The code is in `sqlite_errorcode` (Python 3.11). An extended code keeps the primary one in its low byte, so that byte
is looked up: SQLITE_BUSY_SNAPSHOT (517) is a BUSY (5) as well. An `OperationalError` that is left over is about the
statement, or a table that does not exist.

SQLITE_BUSY and SQLITE_LOCKED are UNAVAILABLE and may be retried, after the connection's own `timeout` has passed. The
codes are those of sqlite.org/rescode.html.
"""

from resilience._safe_access import int_attribute
from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import response_or

_CODES: dict[int, C] = {
    3: C.AUTHORIZATION,  # PERM
    4: C.CONFLICT,  # ABORT
    5: C.UNAVAILABLE,  # BUSY: another connection writes
    6: C.UNAVAILABLE,  # LOCKED
    7: C.CAPACITY,  # NOMEM
    8: C.AUTHORIZATION,  # READONLY
    9: C.TIMEOUT,  # INTERRUPT
    10: C.SERVER_ERROR,  # IOERR
    11: C.DEPENDENCY,  # CORRUPT
    13: C.CAPACITY,  # FULL
    14: C.CONFIGURATION,  # CANTOPEN
    15: C.UNAVAILABLE,  # PROTOCOL: locks
    17: C.UNAVAILABLE,  # SCHEMA changed
    18: C.VALIDATION,  # TOOBIG
    19: C.CONFLICT,  # CONSTRAINT
    20: C.VALIDATION,  # MISMATCH
    23: C.AUTHORIZATION,  # AUTH
    26: C.CONFIGURATION,  # NOTADB
}


def _result(exc: BaseException) -> Match | None:
    result = int_attribute(exc, "sqlite_errorcode") or 0
    if result & 0xFF not in _CODES:
        return None
    return Match(_CODES[result & 0xFF], f"SQLite result code {result}")


LIBRARY = ClientLibrary(
    {
        "Error": response_or(_result, C.UNKNOWN),
        "OperationalError": response_or(_result, C.INTERNAL),
        "IntegrityError": response_or(_result, C.CONFLICT),
        "DataError": response_or(_result, C.VALIDATION),
        "ProgrammingError": C.INTERNAL,
        "InterfaceError": C.INTERNAL,
        "InternalError": response_or(_result, C.SERVER_ERROR),
        "NotSupportedError": C.CONFIGURATION,
        "Warning": C.INTERNAL,
    }
)
