"""How long the other side asks to wait before the next try."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from typing import cast

from resilience.classify.groups import members_of
from resilience.classify.look import attribute, entry
from resilience.classify.static import is_kind, is_tame, says_nothing

__all__ = ["retry_after", "retry_after_of_result"]

_MOST_DIGITS = 40  # no honest number is longer, and int() of a long text takes time
_MOST_HEADERS = 1000
_MOST_SILENT = 1024  # types made at run time must not fill the memory
_ASKED = frozenset({"retry_after", "response", "headers", "trailing_metadata"})
# Types whose exceptions ask for nothing unless something was hung on the one at hand: most failures are of them.
_silent: set[type] = set()


def retry_after(exc: BaseException) -> float | None:
    """Return the seconds to wait that the failure itself asks for, or None where it asks for nothing. Never raises.

    Read from the attribute `retry_after` (a number, text or `timedelta`), else from the headers
    `retry-after-ms`, `x-ms-retry-after-ms` and `retry-after` (seconds or an HTTP date) of the exception or its
    response, else from gRPC's `grpc-retry-pushback-ms`. A moment in the past is 0.0; garbage is ignored.

    `math.inf` means: do not try again. A gRPC server says so by a pushback that is negative or no number.
    The longest wait among the members of an exception group holds for the group.

    >>> class Busy(Exception):
    ...     retry_after = 1.5
    >>> retry_after(Busy())
    1.5
    """
    try:
        kind = type(exc)
        if kind in _silent:
            hung = exc.__dict__
            if not hung or _ASKED.isdisjoint(hung):
                return None
        if is_tame(kind) and says_nothing(kind, *_ASKED) and not is_kind(kind, BaseExceptionGroup):
            if len(_silent) >= _MOST_SILENT:
                _silent.clear()
            _silent.add(kind)
        hint = _of(exc)
        hints = [hint, *(_of(member) for member in members_of(exc))]
    except Exception:  # an exception that cannot be looked at asks for nothing
        return None
    return max((hint for hint in hints if hint is not None), default=None)


def retry_after_of_result(result: object) -> float | None:
    """Return the same of what a call returned: a response of whatever HTTP client, which has headers. Never raises."""
    try:
        return _of(result)
    except Exception:  # what cannot be looked at asks for nothing
        return None


def _of(thing: object) -> float | None:
    hint = _seconds(attribute(thing, "retry_after"))
    if hint is not None:
        return hint
    for headers in _headers(thing):
        hint = _in_headers(headers)
        if hint is not None:
            return hint
    return _pushback(thing)


def _headers(thing: object) -> Iterable[object]:
    response = attribute(thing, "response")
    yield attribute(response, "headers")
    yield attribute(thing, "headers")
    yield entry(entry(response, "ResponseMetadata"), "HTTPHeaders")


def _in_headers(headers: object) -> float | None:
    if headers is None:
        return None
    for name, unit in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = _header(headers, name)
        if value is None:
            continue
        hint = _plain(value)
        if hint is not None:
            return hint * unit
        if unit == 1.0:
            return _date(value)
    return None


def _header(headers: object, name: str) -> str | None:
    """Look up a header in whatever library's headers, whatever its capitals."""
    get = attribute(headers, "get")
    if callable(get):
        try:
            found: object = get(name)
        except Exception:  # no headers after all
            found = None
        if found is not None:
            return _decoded(found)
    return next((_decoded(value) for key, value in _pairs(headers) if (_decoded(key) or "").lower() == name), None)


def _pairs(headers: object) -> list[tuple[object, object]]:
    items = attribute(headers, "items")
    try:
        pairs: object = items() if callable(items) else headers
        found: list[tuple[object, object]] = []
        for pair in cast("Iterable[object]", pairs):
            if len(found) == _MOST_HEADERS:
                break
            key, value = cast("tuple[object, object]", pair)
            found.append((key, value))
        return found
    except Exception:  # no headers after all
        return []


def _decoded(value: object) -> str | None:
    if type(value) is bytes:
        return value.decode("latin-1")
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _seconds(value: object) -> float | None:
    if isinstance(value, timedelta):
        return max(0.0, value.total_seconds())
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Errors that know when the time comes may be asked after it has come.
        return max(0.0, float(value)) if math.isfinite(value) else None
    word = _decoded(value)
    return _plain(word) if word is not None else None


def _plain(word: str) -> float | None:
    """Return a number that is written with digits and perhaps a point; not `1e3`, `nan`, `-1` or `1_000`."""
    word = word.strip()
    if not word or len(word) > _MOST_DIGITS or not word.isascii() or not word.replace(".", "", 1).isdigit():
        return None
    return float(word)


def _date(word: str) -> float | None:
    from email.utils import parsedate_to_datetime

    from resilience.clock import current_clock

    try:
        moment = parsedate_to_datetime(word).timestamp()
    except Exception:  # it raises more than ValueError, depending on the version
        return None
    return max(0.0, moment - current_clock().wall())


def _pushback(thing: object) -> float | None:
    metadata = attribute(thing, "trailing_metadata")
    try:
        trailing: object = metadata() if callable(metadata) else metadata
    except Exception:  # some other library's method
        return None
    word = _header(trailing, "grpc-retry-pushback-ms") if trailing is not None else None
    if word is None:
        return None
    hint = _plain(word)
    # gRPC's retry design: a pushback that is negative or cannot be parsed means "do not retry".
    return hint * 0.001 if hint is not None else math.inf
