"""Categories of SQLSTATE codes (ISO/IEC 9075), with the codes that PostgreSQL adds.

Five characters: the first two are the class, all five the condition. The table of whole codes goes before that of
classes, so it holds only conditions that differ from their class. PostgreSQL's list is its Appendix A, "Error Codes".
"""

from __future__ import annotations

from resilience.categories import ErrorCategory

__all__ = ["category_of_sqlstate", "is_sqlstate", "named_sqlstate"]

_C = ErrorCategory
# A whole code decides before its class, the first two characters.
_BY_CODE: dict[str, ErrorCategory] = {
    "08P01": _C.INTERNAL,  # the two sides do not speak the same protocol
    "21000": _C.VALIDATION,
    "23502": _C.VALIDATION,  # not null
    "23514": _C.VALIDATION,  # check
    "25006": _C.UNAVAILABLE,  # a read-only standby answered: fail-over is going on
    "25P03": _C.TIMEOUT,  # idle in transaction for too long
    "25P04": _C.TIMEOUT,  # transaction_timeout
    # The database asks for exactly one thing, the same transaction again, and nothing was done: UNAVAILABLE, since
    # CONFLICT means that something has to change first.
    "40001": _C.UNAVAILABLE,
    "40P01": _C.UNAVAILABLE,
    "40002": _C.CONFLICT,
    "40003": _C.NETWORK,  # completion unknown: sent, no answer
    "42501": _C.AUTHORIZATION,
    "42601": _C.INTERNAL,  # the statement is the calling program's
    "53400": _C.CONFIGURATION,
    "55006": _C.CONFLICT,  # object in use
    "55P03": _C.UNAVAILABLE,  # lock not available
    "57014": _C.TIMEOUT,  # query canceled: nearly always statement_timeout
    "57P01": _C.UNAVAILABLE,
    "57P02": _C.UNAVAILABLE,
    "57P03": _C.UNAVAILABLE,
    "57P04": _C.NOT_FOUND,  # the database was dropped
    "57P05": _C.NETWORK,  # idle session closed
    "58P01": _C.SERVER_ERROR,
    "HYT00": _C.TIMEOUT,
    "HYT01": _C.TIMEOUT,
    "P0001": _C.VALIDATION,  # RAISE in a procedure: the program behind the database refuses
    "P0002": _C.NOT_FOUND,
    "P0003": _C.CONFLICT,
    "P0004": _C.VALIDATION,
}
_BY_CLASS: dict[str, ErrorCategory] = {
    "02": _C.NOT_FOUND,
    "08": _C.NETWORK,
    "09": _C.SERVER_ERROR,
    "0A": _C.CONFIGURATION,  # feature not supported
    "20": _C.VALIDATION,
    "22": _C.VALIDATION,
    "23": _C.CONFLICT,
    "25": _C.INTERNAL,  # transaction state: a mistake of the calling program
    "26": _C.INTERNAL,
    "28": _C.AUTHENTICATION,
    "34": _C.INTERNAL,
    "38": _C.SERVER_ERROR,
    "39": _C.SERVER_ERROR,
    "3B": _C.INTERNAL,
    "3D": _C.CONFIGURATION,  # no such database
    "3F": _C.CONFIGURATION,  # no such schema
    "40": _C.UNAVAILABLE,
    "42": _C.INTERNAL,  # syntax, names: the statement is the calling program's
    "44": _C.VALIDATION,
    "53": _C.CAPACITY,
    "54": _C.VALIDATION,  # the statement is beyond a limit of the database
    "55": _C.CONFLICT,
    "57": _C.UNAVAILABLE,
    "58": _C.SERVER_ERROR,
    "F0": _C.CONFIGURATION,
    "HV": _C.DEPENDENCY,  # a foreign data source behind the database
    "P0": _C.SERVER_ERROR,
    "XX": _C.SERVER_ERROR,
}

# Names of conditions in PostgreSQL's appendix, and of classes in the standard.
_NAMES: dict[str, str] = {
    "23502": "not null violation",
    "23503": "foreign key violation",
    "23505": "unique violation",
    "23514": "check violation",
    "40001": "serialization failure",
    "40P01": "deadlock detected",
    "42501": "insufficient privilege",
    "42601": "syntax error",
    "42P01": "undefined table",
    "53100": "disk full",
    "53200": "out of memory",
    "53300": "too many connections",
    "55P03": "lock not available",
    "57014": "query canceled",
    "57P01": "admin shutdown",
    "57P02": "crash shutdown",
    "57P03": "cannot connect now",
    "02": "no data",
    "08": "connection exception",
    "0A": "feature not supported",
    "22": "data exception",
    "23": "integrity constraint violation",
    "25": "invalid transaction state",
    "28": "invalid authorization",
    "40": "transaction rollback",
    "42": "syntax error or access rule violation",
    "53": "insufficient resources",
    "54": "program limit exceeded",
    "55": "object not in prerequisite state",
    "57": "operator intervention",
    "58": "system error",
    "HYT00": "timeout expired",
    "HYT01": "connection timeout expired",
    "XX": "internal error",
}


def is_sqlstate(code: str) -> bool:
    """Return whether a text has the form of a SQLSTATE: five capital letters or digits.

    >>> is_sqlstate("40P01"), is_sqlstate("40p01"), is_sqlstate("503")
    (True, False, False)
    """
    return len(code) == 5 and code.isascii() and code.isalnum() and code == code.upper()


def category_of_sqlstate(code: str) -> ErrorCategory:
    """Return the leaf for a SQLSTATE: by the whole code, then by its class; UNKNOWN for the rest.

    A serialization failure (40001) or deadlock (40P01) is UNAVAILABLE: nothing was done, and the database asks
    for the same transaction again.

    >>> category_of_sqlstate("08006").label
    'network'
    >>> category_of_sqlstate("40001").label
    'unavailable'
    """
    if not is_sqlstate(code):
        return _C.UNKNOWN
    return _BY_CODE.get(code) or _BY_CLASS.get(code[:2], _C.UNKNOWN)


def named_sqlstate(code: str) -> str:
    """Return a SQLSTATE with the name of its condition or its class, where that has one.

    >>> named_sqlstate("40P01"), named_sqlstate("08006")
    ('SQLSTATE 40P01, deadlock detected', 'SQLSTATE 08006, connection exception')
    """
    name = _NAMES.get(code) or _NAMES.get(code[:2])
    return ", ".join(filter(None, (f"SQLSTATE {code}", name)))
