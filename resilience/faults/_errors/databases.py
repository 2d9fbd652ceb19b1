"""Exceptions of database drivers: for most leaves the class and the code that the server's error would have."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, cast

from resilience._safe_access import safe_getattr
from resilience.categories import ErrorCategory
from resilience.faults._errors.codes import MYSQL, SQLSTATE
from resilience.faults._errors.source import MESSAGE, Source, chosen, module_of

__all__ = ["asyncpg", "psycopg", "psycopg2", "pymongo", "pymysql", "sqlalchemy", "sqlite3"]

_C = ErrorCategory
_MONGO = {
    _C.TIMEOUT: 50,
    _C.UNAVAILABLE: 11600,
    _C.AUTHENTICATION: 18,
    _C.AUTHORIZATION: 13,
    _C.VALIDATION: 121,
    _C.NOT_FOUND: 26,
    _C.CONFLICT: 11000,
    _C.CONFIGURATION: 72,
    _C.CAPACITY: 14031,
    _C.RATE_LIMIT: 16500,
}
_SQLITE = {_C.UNAVAILABLE: "BUSY", _C.CAPACITY: "FULL", _C.AUTHORIZATION: "READONLY", _C.CONFLICT: "CONSTRAINT_UNIQUE"}


def psycopg(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield the exception of psycopg 3 for a SQLSTATE, and an `OperationalError` for a connection that is lost."""
    module = module_of(library)
    own = {_C.NETWORK: lambda: module.OperationalError(MESSAGE)}
    return chosen(leaf, own, SQLSTATE, lambda code: module.errors.lookup(code)(MESSAGE))


def psycopg2(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield the exception of psycopg2 for a SQLSTATE, and an `OperationalError` for a connection that is lost.

    psycopg2 itself alone can set `pgcode`: where its class does not say the SQLSTATE, a subclass of it does.
    """
    module = module_of(library)

    def answered(code: str) -> Exception:
        kind: Any = module_of(f"{library}.errors").lookup(code)
        error: Exception = type(kind.__name__, (kind,), {"pgcode": code, "__module__": kind.__module__})(MESSAGE)
        return error

    return chosen(leaf, {_C.NETWORK: lambda: module.OperationalError(MESSAGE)}, SQLSTATE, answered)


def asyncpg(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield the exception of asyncpg for a SQLSTATE, and an `InterfaceError` for a connection that is closed."""
    module = module_of(library)
    own = {_C.NETWORK: lambda: module.InterfaceError("connection is closed")}
    # As the client does with an error that the server reports: "C" is the field of the SQLSTATE, "M" the message.
    return chosen(leaf, own, SQLSTATE, lambda code: module.PostgresError.new({"C": code, "M": MESSAGE, "S": "ERROR"}))


def pymysql(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield the exception of PyMySQL, or of a driver with its interface, for an error number of MySQL."""
    errors = module_of("pymysql.err")
    kind: Any = module_of(library).OperationalError
    return chosen(leaf, {}, MYSQL, lambda number: errors.error_map.get(number, kind)(number, MESSAGE))


def pymongo(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield the exception of PyMongo: `NetworkTimeout`, `AutoReconnect`, or an `OperationFailure` with a code."""
    errors = module_of(f"{library}.errors")
    own = {
        _C.TIMEOUT: lambda: errors.NetworkTimeout(MESSAGE),
        _C.NETWORK: lambda: errors.AutoReconnect(MESSAGE),
    }
    return chosen(leaf, own, _MONGO, lambda code: errors.OperationFailure(MESSAGE, code))


def sqlite3(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield the exception of sqlite3 with an error code of SQLite."""
    module = module_of(library)

    def answered(name: str) -> Exception:
        error: Any = module.OperationalError(MESSAGE)
        error.sqlite_errorname = f"SQLITE_{name}"
        error.sqlite_errorcode = getattr(module, error.sqlite_errorname)
        return cast("Exception", error)

    return chosen(leaf, {}, _SQLITE, answered)


_DRIVERS: dict[str, Source] = {
    "psycopg": psycopg,
    "asyncpg": asyncpg,
    "psycopg2": psycopg2,
    "pymysql": pymysql,
    "sqlite3": sqlite3,
}


def sqlalchemy(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield what SQLAlchemy raises: `TimeoutError` of its pool, or the error of a driver that is loaded, in its own."""
    errors = module_of(f"{library}.exc")
    yield from chosen(leaf, {_C.TIMEOUT: lambda: errors.TimeoutError(MESSAGE)}, {}, OSError)
    for driver in filter(sys.modules.__contains__, _DRIVERS):
        for error in _DRIVERS[driver](leaf, driver):
            yield errors.DBAPIError.instance(MESSAGE, None, error, _base_of(error, driver))


def _base_of(error: Exception, driver: str) -> object:
    """Return the class of the *driver* that SQLAlchemy takes for its errors."""
    return safe_getattr(sys.modules.get(driver), "Error") or type(error)
