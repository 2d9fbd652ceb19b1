"""Retry-After: how many seconds the server asks to wait before the next attempt.

Servers say so in several ways, and clients keep it in several places: an attribute `retry_after`, HTTP headers of the
exception or its response, the details and the trailing metadata of gRPC. These are read of any exception, whatever its
library; a library with a place of its own has a `retry_after` function in its `ClientLibrary`. All units are seconds.

Nothing here decides whether to wait: policies cap what is asked for, and `math.inf` means "do not try again".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from resilience._callback_errors import log_callback_error
from resilience._safe_access import qualified_name, safe_call, safe_getattr
from resilience.classification._exception_groups import members_of
from resilience.classification._rate_limits import reset_in
from resilience.classification._responses import BODIES, CONTAINERS, HAVE_HEADERS, header, header_sets
from resilience.classification._retry_info import retry_info_of
from resilience.classification._type_traits import attributes_of, declares_none_of, is_kind, uses_plain_lookup
from resilience.classification._waits import number, seconds, until_date
from resilience.classification.libraries import library_named
from resilience.classification.registry import HINTLESS, current_rules, settle_hintless

__all__ = ["ASKED_FOR_HINT", "retry_after", "retry_after_of_result"]

_ATTRIBUTES = (("retry_after", 1.0), ("retry_after_seconds", 1.0), ("retry_after_secs", 1.0), ("retry_after_ms", 0.001))
_HEADERS = (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0))

_HAVE_DETAILS = frozenset({*CONTAINERS, *BODIES, "trailing_metadata"})

ASKED_FOR_HINT = frozenset(name for name, _ in _ATTRIBUTES) | HAVE_HEADERS | _HAVE_DETAILS
"""The attributes that hints are read from."""


def retry_after(exc: BaseException) -> float | None:
    """Return the seconds to wait that the failure itself asks for, or None where it asks for nothing. Never raises.

    Read from the attribute `retry_after` (a number, text, `timedelta` or `datetime`), else from the headers
    `retry-after-ms`, `x-ms-retry-after-ms` and `retry-after` (seconds or an HTTP date) of the exception or its
    response, else from google.rpc's `RetryInfo` and gRPC's `grpc-retry-pushback-ms`, else from where its client library
    keeps it. Where none of these is there, and the rate limit that the headers describe is used up, the wait lasts
    until it is reset. A moment in the past is 0.0; garbage is ignored, and a wait of more than a year is a year.

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
            if not own or ASKED_FOR_HINT.isdisjoint(own):
                return None
        else:
            rules = current_rules()
            if _asks_for_nothing(kind):
                settle_hintless(kind, rules)
        hints = (_of(one, attributes_of(one, ASKED_FOR_HINT)) for one in (exc, *members_of(exc)))
        found = [hint for hint in hints if hint is not None]
    except Exception:  # an exception that cannot be examined asks for nothing
        return None
    return max(found, default=None)


def _asks_for_nothing(kind: type) -> bool:
    """Return whether exceptions of this type ask for a wait by attributes of their own only."""
    if is_kind(kind, BaseExceptionGroup) or not uses_plain_lookup(kind):
        return False
    return declares_none_of(kind, ASKED_FOR_HINT) and not any(_readers(kind))


def _readers(kind: type) -> Iterable[Callable[[BaseException], float | None]]:
    """Yield the functions that the client libraries of a type's classes give for it."""
    for library in dict.fromkeys(qualified_name(base)[0] for base in kind.__mro__):
        read = library_named(library).retry_after
        if read is not None:
            yield read


def retry_after_of_result(result: object) -> float | None:
    """Return the same of what a call returned: a response of any HTTP client, which has headers. Never raises."""
    try:
        return _of(result, ASKED_FOR_HINT)
    except Exception:  # a result that cannot be examined asks for nothing
        return None


def _of(thing: object, there: frozenset[str]) -> float | None:
    """Return what the first source asks for that can be read of *thing*, which has the attributes *there* at most."""
    for source, names in _SOURCES:
        if names and names.isdisjoint(there):
            continue
        hint = source(thing)
        if hint is not None:
            return hint
    return None


def _by_attribute(thing: object) -> float | None:
    for name, unit in _ATTRIBUTES:
        hint = seconds(safe_getattr(thing, name))
        if hint is not None:
            return hint * unit
    return None


def _by_headers(thing: object) -> float | None:
    """Read the headers of a response where clients keep them: httpx and most others, aiohttp, botocore."""
    hints = (_in_headers(headers) for headers in header_sets(thing))
    return next((hint for hint in hints if hint is not None), None)


def _in_headers(headers: object) -> float | None:
    """Return the seconds of the first header that has a number, else of a `retry-after` that is a date."""
    value = ""
    for name, unit in _HEADERS:
        value = header(headers, name) or ""
        hint = number(value)
        if hint is not None:
            return hint * unit
    return until_date(value)


def _by_rate_limit(thing: object) -> float | None:
    """Return the seconds until a rate limit that is used up is reset, as the headers of the response describe it."""
    hints = (reset_in(headers) for headers in header_sets(thing))
    return next((hint for hint in hints if hint is not None), None)


def _by_pushback(thing: object) -> float | None:
    """Read gRPC's pushback; one that is negative or cannot be parsed means "do not retry" (gRFC A6)."""
    metadata = safe_getattr(thing, "trailing_metadata")
    word = header(safe_call(metadata) or metadata, "grpc-retry-pushback-ms")
    if word is None:
        return None
    milliseconds = number(word)
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
            return math.inf if hint == math.inf else seconds(hint)
    return None


# Each source with the attributes that it reads; a library's own function reads any.
_SOURCES: tuple[tuple[Callable[[object], float | None], frozenset[str]], ...] = (
    (_by_attribute, frozenset(name for name, _ in _ATTRIBUTES)),
    (_by_headers, HAVE_HEADERS),
    (retry_info_of, _HAVE_DETAILS),
    (_by_pushback, frozenset({"trailing_metadata"})),
    (_by_library, frozenset()),
    (_by_rate_limit, HAVE_HEADERS),
)
