"""Retry-After: how many seconds the server asks to wait before the next attempt.

Servers say so in several ways, and clients keep it in several places: an attribute `retry_after`, HTTP headers of the
exception or its response, the trailing metadata of gRPC. These are read of any exception, whatever its library; a
library with a place of its own has a `retry_after` function in its `ClientLibrary`. All units are seconds.

Nothing here decides whether to wait: policies cap what is asked for, and `math.inf` means "do not try again".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import islice
from typing import cast

from resilience._callback_errors import log_callback_error
from resilience._safe_access import qualified_name, safe_call, safe_getattr, safe_item
from resilience.classification._exception_groups import members_of
from resilience.classification._type_traits import declares_none_of, is_kind, uses_plain_lookup
from resilience.classification.libraries import library_named
from resilience.classification.registry import HINTLESS, current_rules, settle_hintless

__all__ = ["retry_after", "retry_after_of_result"]

_MAX_DIGITS = 40  # no honest number is longer, and int() of a long text takes time
_MAX_HEADERS = 1000
_ASKED = frozenset({"retry_after", "response", "headers", "trailing_metadata"})
_HEADERS = (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0))


def retry_after(exc: BaseException) -> float | None:
    """Return the seconds to wait that the failure itself asks for, or None where it asks for nothing. Never raises.

    Read from the attribute `retry_after` (a number, text or `timedelta`), else from the headers
    `retry-after-ms`, `x-ms-retry-after-ms` and `retry-after` (seconds or an HTTP date) of the exception or its
    response, else from gRPC's `grpc-retry-pushback-ms`, else from where its client library keeps it. A moment in the
    past is 0.0; garbage is ignored.

    `math.inf` means: do not try again. A gRPC server says so by a pushback that is negative or no number.
    The longest wait among the members of an exception group holds for the group.

    >>> class Busy(Exception):
    ...     retry_after = 1.5
    >>> retry_after(Busy())
    1.5
    """
    try:
        kind = type(exc)
        # Most failures are of types that ask for nothing, unless the one at hand has an attribute of its own.
        if kind in HINTLESS:
            own = exc.__dict__
            if not own or _ASKED.isdisjoint(own):
                return None
        rules = current_rules()
        if _asks_for_nothing(kind):
            settle_hintless(kind, rules)
        found = [hint for one in (exc, *members_of(exc)) if (hint := _of(one)) is not None]
    except Exception:  # an exception that cannot be examined asks for nothing
        return None
    return max(found, default=None)


def _asks_for_nothing(kind: type) -> bool:
    """Return whether exceptions of this type ask for a wait by attributes of their own only."""
    if is_kind(kind, BaseExceptionGroup) or not uses_plain_lookup(kind):
        return False
    return declares_none_of(kind, *_ASKED) and not any(_readers(kind))


def _readers(kind: type) -> Iterable[Callable[[BaseException], float | None]]:
    """Yield the functions that the client libraries of a type's classes give for it."""
    for library in dict.fromkeys(qualified_name(base)[0] for base in kind.__mro__):
        read = library_named(library).retry_after
        if read is not None:
            yield read


def retry_after_of_result(result: object) -> float | None:
    """Return the same of what a call returned: a response of any HTTP client, which has headers. Never raises."""
    try:
        return _of(result)
    except Exception:  # a result that cannot be examined asks for nothing
        return None


def _of(thing: object) -> float | None:
    for source in (_by_attribute, _by_headers, _by_pushback, _by_library):
        hint = source(thing)
        if hint is not None:
            return hint
    return None


# -- where the wait may be written -------------------------------------------------------------------------------------


def _by_attribute(thing: object) -> float | None:
    return _seconds(safe_getattr(thing, "retry_after"))


def _by_headers(thing: object) -> float | None:
    """Read the headers of a response where clients keep them: httpx and most others, aiohttp, botocore."""
    response = safe_getattr(thing, "response")
    of_botocore = safe_item(safe_item(response, "ResponseMetadata"), "HTTPHeaders")
    for headers in filter(None, (safe_getattr(response, "headers"), safe_getattr(thing, "headers"), of_botocore)):
        hint = _in_headers(headers)
        if hint is not None:
            return hint
    return None


def _by_pushback(thing: object) -> float | None:
    """Read gRPC's pushback; one that is negative or cannot be parsed means "do not retry" (gRFC A6)."""
    metadata = safe_getattr(thing, "trailing_metadata")
    word = _header(safe_call(metadata) or metadata, "grpc-retry-pushback-ms")
    if word is None:
        return None
    milliseconds = _plain(word)
    return math.inf if milliseconds is None else milliseconds * 0.001


def _by_library(thing: object) -> float | None:
    """Ask the client library of an exception. Its function is code of the program: one that raises is logged once."""
    if not isinstance(thing, BaseException):
        return None
    for read in _readers(type(thing)):
        try:
            hint = read(thing)
        except Exception as error:
            log_callback_error("retry_after of a client library", read, error)
            continue
        if hint is not None:
            return math.inf if hint == math.inf else _seconds(hint)
    return None


# -- what is written there ---------------------------------------------------------------------------------------------


def _in_headers(headers: object) -> float | None:
    """Return the seconds of the first header that has a number, else of a `retry-after` that is a date."""
    value = ""
    for name, unit in _HEADERS:
        value = _header(headers, name) or ""
        hint = _plain(value)
        if hint is not None:
            return hint * unit
    return _date(value)


def _header(headers: object, name: str) -> str | None:
    """Look up a header in the headers of any library, in upper or lower case.

    Most libraries have a mapping that ignores case. Others have a plain mapping or a list of pairs, texts or bytes.
    """
    if headers is None:
        return None
    get = safe_getattr(headers, "get")
    try:
        found: object = get(name) if callable(get) else None
    except Exception:  # no headers after all
        found = None
    if found is not None:
        return _decoded(found)
    return next((_decoded(value) for key, value in _pairs(headers) if (_decoded(key) or "").lower() == name), None)


def _pairs(headers: object) -> list[tuple[object, object]]:
    items = safe_getattr(headers, "items")
    try:
        pairs: object = items() if callable(items) else headers
        found = cast("Iterable[tuple[object, object]]", pairs)
        return [(key, value) for key, value in islice(found, _MAX_HEADERS)]
    except Exception:  # no headers after all
        return []


def _decoded(value: object) -> str | None:
    """Return a header's value or name as text; a number is written out, anything else is None."""
    if type(value) is bytes:
        return value.decode("latin-1")
    return str(value) if isinstance(value, str | int | float) and type(value) is not bool else None


def _seconds(value: object) -> float | None:
    """Return a duration given as a `timedelta`, a number or a text, never below 0.

    Errors that know when the time comes may be asked after it has come.
    """
    if isinstance(value, timedelta):
        return max(0.0, value.total_seconds())
    if not isinstance(value, int | float):
        return _plain(_decoded(value) or "")
    if isinstance(value, bool) or not math.isfinite(value):
        return None
    return max(0.0, float(value))


def _plain(word: str) -> float | None:
    """Return a number that is written with digits and perhaps a point; not `1e3`, `nan`, `-1` or `1_000`."""
    word = word.strip()
    if len(word) > _MAX_DIGITS or not word.isascii() or not word.replace(".", "", 1).isdigit():
        return None
    return float(word)


def _date(word: str) -> float | None:
    """Return the seconds until an HTTP date (RFC 9110, 10.2.3), by the clock of the call; 0.0 for a past one."""
    if not word:
        return None
    from email.utils import parsedate_to_datetime

    from resilience.clock import current_clock

    try:
        moment = parsedate_to_datetime(word).timestamp()
    except Exception:  # it raises more than ValueError, depending on the version
        return None
    return max(0.0, moment - current_clock().wall())
