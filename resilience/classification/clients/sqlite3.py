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

RESULT_CODES: dict[int, tuple[C, str]] = {
    3: (C.AUTHORIZATION, "access permission denied (SQLITE_PERM)"),
    4: (C.CONFLICT, "query aborted (SQLITE_ABORT)"),
    5: (C.UNAVAILABLE, "database is locked (SQLITE_BUSY)"),
    6: (C.UNAVAILABLE, "database table is locked (SQLITE_LOCKED)"),
    7: (C.CAPACITY, "out of memory (SQLITE_NOMEM)"),
    8: (C.AUTHORIZATION, "attempt to write a readonly database (SQLITE_READONLY)"),
    9: (C.TIMEOUT, "interrupted (SQLITE_INTERRUPT)"),
    10: (C.SERVER_ERROR, "disk I/O error (SQLITE_IOERR)"),
    11: (C.DEPENDENCY, "database disk image is malformed (SQLITE_CORRUPT)"),
    13: (C.CAPACITY, "database or disk is full (SQLITE_FULL)"),
    14: (C.CONFIGURATION, "unable to open database file (SQLITE_CANTOPEN)"),
    15: (C.UNAVAILABLE, "locking protocol (SQLITE_PROTOCOL)"),
    17: (C.UNAVAILABLE, "database schema has changed (SQLITE_SCHEMA)"),
    18: (C.VALIDATION, "string or blob too big (SQLITE_TOOBIG)"),
    19: (C.CONFLICT, "constraint failed (SQLITE_CONSTRAINT)"),
    20: (C.VALIDATION, "datatype mismatch (SQLITE_MISMATCH)"),
    23: (C.AUTHORIZATION, "authorization denied (SQLITE_AUTH)"),
    26: (C.CONFIGURATION, "file is not a database (SQLITE_NOTADB)"),
}
"""Categories of the primary codes, with SQLite's own words for each (`sqlite3_errstr`)."""


def _result(exc: BaseException) -> Match | None:
    code = (int_attribute(exc, "sqlite_errorcode") or 0) & 0xFF
    return Match(*RESULT_CODES[code]) if code in RESULT_CODES else None


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
