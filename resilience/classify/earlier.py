"""Whether the request that failed was the first one: read from the frames of the clients in its traceback.

A client that follows redirects or retries may have sent a request before the one that was refused. Only local
variables in its frames say so, and a later version may rename them. Then there is no proof, and what is not proven
*may have been sent*: a request counts as the first one only where the traceback runs through functions of the client
that are known here, and the variables that hold what came before are there and hold nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType, TracebackType
from typing import NamedTuple, cast

from resilience.classify.look import attribute, name_of, number, text

__all__ = ["CLIENTS", "frames_of", "library_of", "proven_first"]

_MAX_FRAMES = 2000  # of one traceback; a longer one is a recursion that failed

Witness = Callable[[FrameType], bool | None]
"""What a frame says: this is the first request (True), it is not or may not be (False), nothing of that (None)."""


def proven_first(exc: BaseException, proven: frozenset[str] = frozenset()) -> frozenset[str] | None:
    """Return the clients whose frames prove that they sent nothing before *exc*, or None where one of them may have.

    *proven* are those of which the exception that wraps *exc* has shown it. An exception that has not been raised has
    no frames, and nothing came before it.
    """
    if name_of(type(attribute(exc, "__cause__"))) in _REMOTE:
        return None
    frames = frames_of(exc)
    if len(frames) == _MAX_FRAMES:
        return None
    met = set[str]()
    shown = set(proven)
    parts = set[str]()
    for frame in frames:
        library = library_of(frame)
        client = CLIENTS.get(library)
        if client is None:
            if not _calls_once(frame, library, frames):
                return None
            continue
        met.add(library)
        module = _module(frame).partition(".")[2]
        name = frame.f_code.co_name
        witness = client.witnesses.get(f"{module}.{name}")
        said = None if witness is None else witness(frame)
        if said is False:
            return None
        if said:
            shown.add(library)
        elif witness is None and library not in shown:
            if client.one_of and f"{module}.".startswith(f"{client.one_of}."):
                # A helper of several requests calls the functions that make one.
                if library in parts:
                    return None
                parts.add(library)
            elif name not in client.above:
                return None
    return frozenset(shown) if met <= shown else None


def frames_of(exc: object) -> list[FrameType]:
    """Return the frames of a traceback, that of the function that caught the exception first; at most 2000."""
    trace = attribute(exc, "__traceback__")
    found: list[FrameType] = []
    while isinstance(trace, TracebackType) and len(found) < _MAX_FRAMES:
        found.append(trace.tb_frame)
        trace = trace.tb_next
    return found


def library_of(frame: FrameType) -> str:
    """Return the top-level module of the code that runs in a frame."""
    return _module(frame).partition(".")[0]


def _module(frame: FrameType) -> str:
    return text(frame.f_globals.get("__name__")) or ""


# -- what a frame says -----------------------------------------------------------------------------------------------


def _has(frame: FrameType, name: str) -> bool:
    """Return whether the function has a local variable of this name at all, bound or not."""
    code: CodeType = frame.f_code
    return name in code.co_varnames or name in code.co_cellvars or name in code.co_freevars


def _says(name: str, first: Callable[[object], bool], *, missing: bool | None = None) -> Witness:
    """Return a witness that reads one local variable; where there is none of that name it says *missing*."""

    def witness(frame: FrameType) -> bool | None:
        local = frame.f_locals
        return missing if name not in local else first(local[name])

    return witness


def _unbound(name: str, *, bound: bool | None = False, missing: bool | None = None) -> Witness:
    """Return a witness: the answer of the client would be in this variable, and it is not yet."""

    def witness(frame: FrameType) -> bool | None:
        local = frame.f_locals
        # A frame that was cleared has lost all its variables.
        if not local or not _has(frame, name):
            return missing
        return bound if name in local else True

    return witness


def _both(one: Witness, other: Witness) -> Witness:
    """Return a witness that says yes where both do, and objects otherwise."""
    return lambda frame: bool(one(frame) and other(frame))


def _unless(witness: Witness) -> Witness:
    """Return a witness that can only say that there was an earlier request, and proves nothing where there was none."""
    return lambda frame: None if witness(frame) else False


def _none_in(value: object) -> bool:
    return type(value) in (list, tuple) and not value


def _at_most(count: int) -> Callable[[object], bool]:
    def first(value: object) -> bool:
        found = number(value)
        return found is not None and found <= count

    return first


def _urllib3(retries: object) -> bool:
    """Look at what urllib3 writes down of each try: the error it ended with, or none where there was an answer."""
    from resilience.classify.connection import never_sent

    tries = attribute(retries, "history")
    if type(tries) is not tuple:
        return False
    errors = [attribute(one, "error") for one in cast("tuple[object, ...]", tries)]
    # The frames of these errors are those we come from: they tell of the tries after them as well.
    return all(issubclass(type(error), BaseException) and never_sent(cast("BaseException", error)) for error in errors)


def _aiohttp(frame: FrameType) -> bool | None:
    local = frame.f_locals
    if not {"history", "retry_persistent_connection"} <= set(local) or not _has(frame, "resp"):
        return None
    # What the server closed in the meantime is sent once more where the method is idempotent; the flag is down then,
    # as it is from the start for the other methods.
    once = local["retry_persistent_connection"] is True or local.get("method") in {"POST", "PATCH", "CONNECT"}
    return once and _none_in(local["history"]) and local.get("resp") is None


# -- the clients -----------------------------------------------------------------------------------------------------


class _Client(NamedTuple):
    """A library that may send several requests for one call."""

    #: By "module.function" without the library's name. Each must agree, and one at least must say yes.
    witnesses: Mapping[str, Witness]
    #: The functions that a call may come through before a witness has said yes. Any other one is news to us.
    above: frozenset[str]
    #: A subpackage whose functions make one request each; where one calls another, it makes several.
    one_of: str = ""


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


_VERBS = "get options head post put patch delete request"
_NO_ANSWER = _both(_says("history", _none_in), _unbound("response"))
_HTTPX = _Client(
    {
        "_client._send_handling_redirects": _NO_ANSWER,
        # It hands over a list to which redirects are not added: so it can only object.
        "_client._send_handling_auth": _unless(_NO_ANSWER),
    },
    _names(f"{_VERBS} stream send"),
)
# A wrapper around a resource's method, or the beginning of a stream.
_STAINLESS = f"{_VERBS} get_api_list _request_api_list _get_page __await__ wrapper wrapped __enter__ __aenter__"

CLIENTS: Mapping[str, _Client] = {
    "httpx": _HTTPX,
    "httpx2": _HTTPX,
    "requests": _Client({"sessions.send": _unbound("r")}, _names(_VERBS)),
    "aiohttp": _Client(
        {
            "client._request": _aiohttp,
            "client_middleware_digest_auth.__call__": _unless(_says("retry_count", _at_most(0), missing=False)),
        },
        _names("__aenter__ __await__ _ws_connect"),
    ),
    "urllib": _Client({"request.open": _unbound("response")}, _names("urlopen")),
    "urllib3": _Client(
        {
            "connectionpool.urlopen": _says("retries", _urllib3, missing=False),
            "poolmanager.urlopen": _unless(_unbound("response", missing=True)),
        },
        _names("request request_encode_url request_encode_body"),
    ),
    "xmlrpc": _Client({"client.request": _says("i", _at_most(0))}, _names("__call__ __request")),
    # These try again by themselves and forget how the tries before went.
    "openai": _Client(
        {
            "_base_client.request": _says("retries_taken", _at_most(0)),
            "_base_client._request": _says("retries_taken", _at_most(0), missing=False),
            # Sent again with a new token.
            "lib._client_auth.sync_send_with_auth_retry": _unless(_unbound("response")),
            "lib._client_auth.async_send_with_auth_retry": _unless(_unbound("response")),
        },
        _names(_STAINLESS),
        one_of="resources",
    ),
    "anthropic": _Client(
        {"_base_client._request": _says("retries_taken", _at_most(0), missing=False)},
        _names(_STAINLESS),
        one_of="resources",
    ),
    "botocore": _Client(
        {"endpoint._send_request": _says("attempts", _at_most(1))},
        _names("_api_call wrapper _make_api_call _make_request make_request"),
    ),
    "redis": _Client(
        {
            # Counted before it is raised.
            "retry.call_with_retry": _says("failures", _at_most(1), missing=False),
            "asyncio.retry.call_with_retry": _says("failures", _at_most(1), missing=False),
            # No connection to send anything over.
            "client._execute_command": _unbound("conn", bound=None),
            "client.execute_command": _unbound("conn", bound=None),
            "asyncio.client.execute_command": _unbound("conn", bound=None),
        },
        _names("execute wrapper async_wrapper get_connection ensure_connection connect initialize __aenter__"),
        one_of="commands",
    ),
}
"""By top-level module: the libraries that may have sent something before the request that failed."""


# -- everybody else's code -------------------------------------------------------------------------------------------

# Exceptions of another process, whose frames stayed there.
_REMOTE = {("concurrent", "_RemoteTraceback"), ("multiprocessing", "RemoteTraceback")}

# Libraries whose functions send what they are given once, or nothing at all. What they do while they connect again
# does not count: nothing is sent by that.
_ONCE = _names(
    """resilience pybreaker
    httpcore httpcore2 h11 h2 hpack hyperframe anyio sniffio trio outcome exceptiongroup aiohappyeyeballs async_timeout
    uvloop winloop gevent eventlet greenlet dns aiodns socks socksio python_socks aiohttp_socks httpx_socks truststore
    asyncpg psycopg psycopg_pool psycopg2 pymysql aiomysql pymongo sqlalchemy aiosqlite aiosmtplib
    typing_extensions wrapt decorator opentelemetry sentry_sdk ddtrace newrelic elasticapm logfire asgiref typeguard
    beartype pydantic cachetools async_lru"""
)


def _calls_once(frame: FrameType, library: str, frames: Iterable[FrameType]) -> bool:
    """Return whether the code of a frame is known to call what is below it once, or is the caller's own."""
    if library in _ONCE or library in sys.stdlib_module_names or not _is_installed(frame):
        return True
    # An application may be installed beside the libraries that it uses. It is the one that uses this toolkit.
    return any(_uses_us(one.f_globals) for one in frames if library_of(one) == library)


def _is_installed(frame: FrameType) -> bool:
    """Return whether a frame's code lies where libraries are installed. Code without a file is the caller's."""
    file = text(frame.f_globals.get("__file__"))
    return file is not None and _is_among_libraries(file, _module(frame))


@lru_cache(maxsize=1024)
def _is_among_libraries(file: str, module: str) -> bool:
    path = Path(file)
    depth = module.count(".") + (path.stem == "__init__")
    where = path.parents[depth] if depth < len(path.parents) else path.parent
    if where.name in {"site-packages", "dist-packages"}:
        return True
    try:
        return any(entry.suffix == ".dist-info" for entry in where.iterdir())
    except OSError:  # an archive, say
        return False


def _uses_us(variables: Mapping[str, object]) -> bool:
    for value in list(variables.values()):
        if type(value) is FunctionType or issubclass(type(value), type):
            home = attribute(value, "__module__")
        elif type(value) is ModuleType:
            home = attribute(value, "__name__")
        else:
            continue
        if (text(home) or "").partition(".")[0] == "resilience":
            return True
    return False
