"""Whether a failure came before anything was sent: what never left cannot have been done twice."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import cast

from resilience.classify.earlier import frames_of, library_of, proven_first
from resilience.classify.groups import members_of
from resilience.classify.look import attribute, code, kinds, name_of, number

__all__ = ["CONNECTIONS", "Row", "never_connected", "never_sent"]

Row = bool | tuple[str, ...] | Callable[[BaseException], bool]
"""What one class says: never connected or not, where it keeps what does say it, or a function that knows."""

_DEEPEST = 16  # wrappers around one error; the deepest real one (sqlalchemy over asyncpg) has 3


def never_connected(exc: BaseException) -> bool:
    """Return whether *exc* surely came before anything of the request reached the other side. Never raises.

    Surely: a connection that was refused, a name that was not resolved, what a client library raises only while it
    connects. A plain time-out, a reset, a broken pipe or an unreachable host may come in the middle of a request too.
    An earlier request of the same call counts: one that was answered with a redirect, one that the client retried.
    Where the traceback runs through a client that may have made one, its frames must show that there was none; an
    installed library that is not known to call once may have made one. Of a group, every member must be so.

    >>> never_connected(ConnectionRefusedError())
    True
    >>> never_connected(ConnectionResetError())
    False
    """
    try:
        return _never(exc, _DEEPEST, frozenset())
    except Exception:  # what cannot be looked at proves nothing
        return False


def never_sent(exc: BaseException) -> bool:
    """Return the same of the request that failed with *exc* alone, whatever came before it."""
    return _never(exc, _DEEPEST, None)


def _never(exc: BaseException, depth: int, proven: frozenset[str] | None) -> bool:
    """Do what `never_connected` does, for what is wrapped *depth* times.

    *proven* are the clients that have sent nothing before, by what is known so far; None: that is not asked.
    """
    if proven is not None:
        proven = proven_first(exc, proven)
        if proven is None:
            return False
    kind: type = type(exc)
    if not depth:
        return False
    if issubclass(kind, BaseExceptionGroup):
        members = members_of(exc)
        return bool(members) and all(
            _never(member, depth - 1, None if proven is None else frozenset()) for member in members
        )
    for base in kinds(exc):
        library, name = name_of(base)
        row = CONNECTIONS.get(library, _NO_ROWS).get(name)
        if row is None:
            continue
        if isinstance(row, bool):
            return row
        if callable(row):
            return row(exc)
        parts = _parts(exc, library, row)
        return bool(parts) and all(_never(part, depth - 1, proven) for part in parts)
    # Unreachable hosts and networks (EHOSTUNREACH, ENETUNREACH) are told to established connections as well.
    return issubclass(kind, ConnectionRefusedError) or (
        issubclass(kind, OSError) and code(exc, "errno") == errno.ECONNREFUSED
    )


# -- what a library wraps --------------------------------------------------------------------------------------------


def _parts(exc: BaseException, library: str, names: tuple[str, ...]) -> list[BaseException]:
    found: list[object] = []
    for name in names:
        part = _handled(exc, library) if name == "__context__" else attribute(exc, name)
        found += cast("tuple[object, ...]", part) if type(part) is tuple else (part,)
    return [cast("BaseException", part) for part in found if issubclass(type(part), BaseException)]


def _handled(exc: BaseException, library: str) -> object:
    """Return the context of *exc* where it was the library that handled it.

    Any other context is whatever the caller was just dealing with, and says nothing of this call.
    """
    context = attribute(exc, "__context__")
    handlers = frames_of(context)[:1]
    return context if handlers and handlers[0] in frames_of(exc) and library_of(handlers[0]) == library else None


# -- the table -------------------------------------------------------------------------------------------------------


def _never_open(exc: BaseException) -> bool:
    # "The connection object, if the error was raised from a connection attempt", says psycopg.
    return attribute(exc, "pgconn") is not None


def _mysql(exc: BaseException) -> bool:
    args = attribute(exc, "args")
    # The client's own numbers for a socket, a host and a name it cannot connect to. Not 2006 and 2013: those had been.
    return type(args) is tuple and number(next(iter(cast("tuple[object, ...]", args)), None)) in {2002, 2003, 2005}


def _named(row: Row, names: str) -> dict[str, Row]:
    return dict.fromkeys(names.split(), row)


_NO_ROWS: Mapping[str, Row] = {}
_HTTPX = _named(True, "ConnectError ConnectTimeout PoolTimeout ProxyError UnsupportedProtocol")
_STAINLESS: Mapping[str, Row] = {"APIConnectionError": ("__cause__",)}

CONNECTIONS: Mapping[str, Mapping[str, Row]] = {
    "socket": _named(True, "gaierror herror"),
    "ssl": {"SSLCertVerificationError": True},  # the handshake did not end, and nothing is sent before it has
    "urllib": {"HTTPError": False, "URLError": ("reason",)},
    "httpcore": _HTTPX,
    "httpcore2": _HTTPX,
    "httpx": _HTTPX,
    "httpx2": _HTTPX,
    "urllib3": {
        **_named(True, "NewConnectionError ConnectTimeoutError EmptyPoolError"),
        "MaxRetryError": ("reason",),
        "ProxyError": ("original_error",),
        **_named(("args",), "ProtocolError SSLError"),
    },
    "requests": {"ConnectTimeout": True, "ConnectionError": ("args",)},
    "aiohttp": {
        **_named(True, "ClientConnectorError ConnectionTimeoutError ServerFingerprintMismatch ClientHttpProxyError"),
        "ClientOSError": False,  # of a connection that there is
    },
    "anyio": {"ConnectionFailed": True},
    "openai": _STAINLESS,
    "anthropic": _STAINLESS,
    "botocore": _named(True, "EndpointConnectionError ConnectTimeoutError ProxyConnectionError"),
    "redis": {"MaxConnectionsError": True, "ConnectionError": ("__cause__", "__context__")},
    # It tells of an earlier try rather than of this one, where there was one; WaitQueueTimeoutError may hide it.
    "pymongo": {"ServerSelectionTimeoutError": True},
    "pymysql": {"OperationalError": _mysql},
    "psycopg": {"ConnectionTimeout": True, "OperationalError": _never_open},
    "sqlalchemy": {
        "TimeoutError": True,  # no connection became free in the pool
        "DBAPIError": ("orig",),
        **_named(("__cause__",), "EmulatedDBAPIException AsyncAdapt_Error"),
    },
}
"""By the top-level module and the qualified name of a class: the most derived class that has a row answers."""
