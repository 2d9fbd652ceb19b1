"""sqlite3, from the standard library: the error code tells what the class does not."""

from collections.abc import Callable

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.look import Found, code

# Primary result codes; the extended ones keep them in their low byte.
_CODES: dict[int, C] = {
    3: C.AUTHORIZATION,  # PERM
    4: C.CONFLICT,  # ABORT
    5: C.UNAVAILABLE,  # BUSY: somebody else writes
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


def _code_or(default: C) -> Callable[[BaseException], Found | C]:
    def row(exc: BaseException) -> Found | C:
        result = code(exc, "sqlite_errorcode")
        primary = None if result is None else result & 0xFF
        return Found(_CODES[primary], f"SQLite result code {result}") if primary in _CODES else default

    return row


ROWS: Rows = {
    "Error": _code_or(C.UNKNOWN),
    "OperationalError": _code_or(C.INTERNAL),  # what is left: the statement, or a table that is not there
    "IntegrityError": _code_or(C.CONFLICT),
    "DataError": _code_or(C.VALIDATION),
    "ProgrammingError": C.INTERNAL,
    "InterfaceError": C.INTERNAL,
    "InternalError": _code_or(C.SERVER_ERROR),
    "NotSupportedError": C.CONFIGURATION,
    "Warning": C.INTERNAL,
}
