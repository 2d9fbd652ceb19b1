"""Read HTTP responses as clients keep them: the status, the headers, and what the body says in codes.

An exception is about a response where it carries one, or carries the parts of one itself. Most clients keep it in
`response`; Google's older client calls it `resp`, elastic's calls it `meta`. A response that a call returned is read by
the same functions. The body is read only as far as the client has it in memory: nothing here waits for a server.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import cast

from resilience._safe_access import as_int, as_str, qualified_name, safe_getattr, safe_item

__all__ = [
    "BODIES",
    "CONTAINERS",
    "HAVE_HEADERS",
    "STATUS_NAMES",
    "codes_in_body",
    "header",
    "header_sets",
    "is_error_status",
    "status_in",
]

CONTAINERS = ("response", "resp", "meta", "http_response", "raw_response")
"""The attributes in which clients keep the response of an exception."""

STATUS_NAMES = (
    "status_code",
    "http_status",
    "http_status_code",
    "http_code",
    "status",
    "code",
    "response_code",
    "errcode",
)
"""The attributes in which clients keep a status, of a response or of the exception."""

BODIES = ("body", "json_body", "data", "content", "response_body", "details", "error_details")
"""The attributes in which clients keep the body of a response, or the part of it that is about the error."""

HAVE_HEADERS = frozenset({*CONTAINERS, "headers", "response_headers"})
"""The attributes in which headers are looked for."""

_SAY_HTTP = frozenset(STATUS_NAMES[:4])
_SIGNS = (
    *("headers", "hdrs", "response", "resp", "url", "uri", "request", "request_info", "http_response"),
    *("response_body", "response_headers", "http_body"),
)
_ERRORS = frozenset(range(400, 600))
_MAX_HEADERS = 1000
_MAX_CLASSES = 256  # of headers; a program has few
_MAX_BODY = 65_536  # bytes of a body that are parsed; errors are shorter
_MAX_CODES = 50
_MISSING = object()
_CODE_FIELDS = ("code", "type", "reason", "status", "error", "errors", "details", "error_details")


# -- the status --------------------------------------------------------------------------------------------------------


def is_error_status(status: int | None) -> bool:
    """Return whether a number is an HTTP status of an error: 400 to 599."""
    return status in _ERRORS


def status_in(thing: object, names: Iterable[str] = STATUS_NAMES, *, is_response: bool = False) -> int | None:
    """Return the HTTP status of an error that *thing* carries in one of its attributes *names*, or None.

    Other protocols have numbers called `code` or `status` too. Such a number is an HTTP status where it is written as
    `http.HTTPStatus`, or beside what belongs to a request or a response of HTTP, or where *thing* surely is a response.

    >>> import urllib.error
    >>> with urllib.error.HTTPError("http://host/", 503, "busy", {}, None) as error:
    ...     status_in(error)
    503
    >>> status_in(SystemExit(503)) is None
    True
    """
    for name in names:
        status = as_int(safe_getattr(thing, name))
        if status in _ERRORS and (is_response or name in _SAY_HTTP or _is_http(thing, name)):
            return status
    return None


def _is_http(thing: object, name: str) -> bool:
    """Return whether the number in the attribute *name* is an HTTP status: SMTP, AMQP and databases have codes as well.

    What is beside it may be None: a response that is not there yet, headers that were not given. A response that is
    itself a mapping is one of headers.
    """
    if any(_carries(thing, sign) for sign in _SIGNS) or issubclass(type(thing), Mapping):
        return True
    return qualified_name(type(safe_getattr(thing, name))) == ("http", "HTTPStatus")


def _carries(thing: object, sign: str) -> bool:
    """Return whether *thing* has an attribute of HTTP. The reply of another protocol is a text or a pair."""
    try:
        value: object = getattr(thing, sign, _MISSING)
    except Exception:  # a property that fails
        return False
    if value is _MISSING:
        return False
    return sign != "response" or not isinstance(value, str | bytes | tuple | list)


# -- headers -----------------------------------------------------------------------------------------------------------


def header_sets(thing: object, names: Collection[str] = HAVE_HEADERS) -> list[object]:
    """Return the headers of an exception or a response, wherever a client keeps them, those of a response first.

    *names* are the attributes that *thing* has at most. botocore has the headers in the mapping that `response` is;
    httplib2's response is a mapping of them. Each is ready for `header`.
    """
    sets: list[object] = []
    for name in CONTAINERS:
        if name in names:
            sets += _of_container(safe_getattr(thing, name))
    if "headers" in names or "response_headers" in names:
        sets += _of_container(thing)
    return [caseless(headers) for headers in sets if headers is not None]


def _of_container(container: object) -> tuple[object, ...]:
    own = safe_getattr(container, "headers"), safe_getattr(container, "response_headers")
    if not issubclass(type(container), Mapping):
        return own
    return *own, container, safe_item(safe_item(container, "ResponseMetadata"), "HTTPHeaders")


def header(headers: object, name: str) -> str | None:
    """Look up a header, whose *name* is in lower case, in the headers of any library.

    >>> header([(b"Retry-After", b"7")], "retry-after")
    '7'
    """
    found = caseless(headers)
    if type(found) not in _CASELESS:
        return decoded(_get(found, name))
    known = cast("Mapping[str, object]", found)
    try:
        # A name that is missing costs several clients an exception, unless they are asked whether it is there.
        if name in known:
            return decoded(known[name])
    except Exception:  # noqa: S110 - a foreign mapping may raise anything
        pass
    return None


class _Lowered(dict[str, object]):
    """Headers by their names in lower case."""

    __slots__ = ()


_CASELESS: dict[type, None] = {_Lowered: None}


def caseless(headers: object) -> object:
    """Return *headers* as a mapping that finds a name in lower case: themselves where their class ignores case.

    Most libraries have such a class. Others have a plain mapping or a list of pairs, texts or bytes; these are copied,
    the first of several values for one name. What has no pairs at all is returned as it is.
    """
    kind: type = type(headers)
    if kind in _CASELESS:
        return headers
    if kind is not dict and _ignores_case(headers):
        if len(_CASELESS) > _MAX_CLASSES:
            _CASELESS.clear()
            _CASELESS[_Lowered] = None
        _CASELESS[kind] = None
        return headers
    pairs = _pairs(headers)
    if not pairs:
        return headers
    return _Lowered({(decoded(name) or "").lower(): _first(value) for name, value in reversed(pairs)})


def _ignores_case(headers: object) -> bool:
    """Return whether a mapping finds the first of its names with small and capital letters exchanged, too."""
    if not hasattr(type(headers), "__contains__"):
        return False
    known = cast("Mapping[object, object]", headers)
    try:
        name = as_str(next(iter(known))) or ""
        other = name.swapcase()
        return other != name and other in known and known[other] is not None
    except Exception:  # no headers after all, or none of them
        return False


def _get(headers: object, name: str) -> object:
    get = safe_getattr(headers, "get")
    try:
        return cast("Callable[[str], object]", get)(name)
    except Exception:  # no mapping, or no headers after all
        return None


def _first(value: object) -> object:
    """Return the first of several values that are kept as a list, as the metadata of `grpc.aio` keep them."""
    if type(value) is not list:
        return value
    return next(iter(cast("list[object]", value)), None)


def _pairs(headers: object) -> list[tuple[object, object]]:
    items = safe_getattr(headers, "items")
    try:
        pairs: object = items() if callable(items) else headers
        found = cast("Iterable[tuple[object, object]]", pairs)
        return [(key, value) for key, value in islice(found, _MAX_HEADERS)]
    except Exception:  # no headers after all
        return []


def decoded(value: object) -> str | None:
    """Return a header's value or name as text; a number is written out, anything else is None."""
    if type(value) is bytes:
        return value.decode("latin-1")
    return str(value) if isinstance(value, str | int | float) and type(value) is not bool else None


# -- codes in the body -------------------------------------------------------------------------------------------------


def codes_in_body(exc: object) -> list[str]:
    """Return the words in which the server's error says what it is: its codes, types and reasons, at most 50.

    They are attributes of the exception, or fields of the body as far as that is in memory: a mapping, or the text of
    one as the exception or its response keeps it. Messages for people are not among them.
    """
    found: list[str] = []
    waiting: list[object] = [safe_getattr(exc, name) for name in (*_CODE_FIELDS, "error_code")]
    waiting += bodies(exc)
    while waiting and len(found) < _MAX_CODES:
        part = waiting.pop(0)
        if issubclass(type(part), list | tuple):
            waiting += cast("list[object]", part)[:_MAX_CODES]
        elif issubclass(type(part), Mapping):
            waiting += [safe_item(part, name) for name in _CODE_FIELDS]
        elif word := as_str(part):
            found.append(word)
    return found


def bodies(exc: object) -> list[object]:
    """Return the bodies of an error as far as they are in memory, parsed where they are JSON."""
    found = [safe_getattr(exc, name) for name in BODIES]
    for name in CONTAINERS:
        container = safe_getattr(exc, name)
        found += [safe_item(safe_getattr(container, "__dict__"), "_content"), container]
    return [_parsed(body) for body in found]


def _parsed(body: object) -> object:
    """Return what a JSON text says, and anything else as it is."""
    if not isinstance(body, str | bytes) or len(body) > _MAX_BODY or body[:1] not in ("{", b"{", "[", b"["):
        return body
    import json

    try:
        return cast("object", json.loads(body))
    except (ValueError, RecursionError):
        return None
