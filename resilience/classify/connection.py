"""Whether a failure came before anything was sent: what never left cannot have been done twice."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import cast

from resilience.classify.groups import members_of
from resilience.classify.look import attribute, code, kinds, name_of, number

__all__ = ["CONNECTIONS", "Row", "never_connected"]

Row = bool | tuple[str, ...] | Callable[[BaseException], bool]
"""What one class says: never connected or not, where it keeps what does say it, or a function that knows."""

_DEEPEST = 16  # wrappers around one error; the deepest real one (sqlalchemy over asyncpg) has 3
_LONGEST = 2000  # frames of one traceback; more is a recursion that failed


def never_connected(exc: BaseException) -> bool:
    """Return whether *exc* surely came before anything of the request reached the other side. Never raises.

    Surely: a connection that was refused, a name that was not resolved, what a client library raises only while it
    connects. A plain time-out, a reset, a broken pipe or an unreachable host may come in the middle of a request too.
    Where the client itself followed a redirect or tried again, an earlier request counts. Of a group, every member
    must be so.

    >>> never_connected(ConnectionRefusedError())
    True
    >>> never_connected(ConnectionResetError())
    False
    """
    try:
        return _never(exc, _DEEPEST)
    except Exception:  # what cannot be looked at proves nothing
        return False


def _never(exc: BaseException, depth: int, *, tried: bool = True) -> bool:
    """Do what `never_connected` does, for what is wrapped *depth* times; unless *tried* do not ask what was before."""
    kind: type = type(exc)
    if not depth or (tried and _was_not_the_first(exc)):
        return False
    if issubclass(kind, BaseExceptionGroup):
        members = members_of(exc)
        return bool(members) and all(_never(member, depth - 1, tried=tried) for member in members)
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
        return bool(parts) and all(_never(part, depth - 1, tried=tried) for part in parts)
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
    handlers = _frames(context)[:1]
    return context if handlers and handlers[0] in _frames(exc) and _library(handlers[0]) == library else None


def _frames(exc: object) -> list[FrameType]:
    """Return the frames of a traceback, that of whoever caught the exception first."""
    trace = attribute(exc, "__traceback__")
    found: list[FrameType] = []
    while isinstance(trace, TracebackType) and len(found) < _LONGEST:
        found.append(trace.tb_frame)
        trace = trace.tb_next
    return found


def _library(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


# -- what a library did before ---------------------------------------------------------------------------------------


def _was_not_the_first(exc: BaseException) -> bool:
    """Return whether the client had sent something for the same call already: a redirect, a try of its own.

    A payment may have been made by the request that was answered with a redirect to a host that is down. Nothing
    but the frames of the client, which the traceback keeps, knows.
    """
    for frame in _frames(exc):
        had = _EARLIER.get(_library(frame))
        if had is not None and had(frame.f_locals):
            return True
    return False


def _any(name: str) -> Callable[[Mapping[str, object]], bool]:
    return lambda local: bool(local.get(name))


def _more_than_one(name: str) -> Callable[[Mapping[str, object]], bool]:
    return lambda local: (number(local.get(name)) or 0) > 1


def _tried(local: Mapping[str, object]) -> bool:
    """Look at what urllib3 writes down of each try: the error it ended with, or none where there was an answer."""
    tries = attribute(local.get("retries"), "history")
    for one in cast("tuple[object, ...]", tries) if type(tries) is tuple else ():
        error = cast("BaseException", attribute(one, "error"))
        # Its frames are those we come from: they tell of the tries after it as well.
        if not issubclass(type(error), BaseException) or not _never(error, _DEEPEST, tried=False):
            return True
    return False


_EARLIER: Mapping[str, Callable[[Mapping[str, object]], bool]] = {
    "requests": _any("hist"),
    "httpx": _any("history"),
    "httpx2": _any("history"),
    "aiohttp": _any("history"),
    "urllib": _any("newurl"),
    "urllib3": _tried,
    # These try again by themselves and forget how the tries before went.
    "openai": _any("retries_taken"),
    "anthropic": _any("retries_taken"),
    "botocore": _more_than_one("attempts"),
    "redis": _more_than_one("failures"),
}
"""By library: what its frames know of requests before the one that failed."""


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
