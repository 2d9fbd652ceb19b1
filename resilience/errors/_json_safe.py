"""Make of any value what JSON takes: bounded, without secrets, whatever the value does when it is looked at."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
import re
import uuid
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import cast

from resilience.categories import ErrorCategory
from resilience.errors._secrets import REDACTED, is_secret
from resilience.errors._validation import class_name, safe_message

__all__ = ["Json", "message_of", "safe_details", "safe_text", "safe_value"]

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What `json.dumps` takes."""

_MOST_DEEP = 6
_MOST_ITEMS = 50
_MOST_NODES = 1000  # in all: 50 in each of 6 levels would be 15 billion
_MOST_TEXT = 2000
_MOST_KEY = 200
_MOST_MESSAGE = 10_000
_MOST_BITS = 256  # longer whole numbers are no honest detail, and str() of a very long one raises

# What gives secrets away inside a text: the password of a URL, the credentials of a header, `password='...'` in a repr.
_IN_URL = re.compile(r"(?<=://)[^\s/?#@]*:[^\s/?#@]*@")
_IN_HEADER = re.compile(r"\b(bearer|basic) +[\w.~+/=-]{6,}", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"""(?P<key>[\w-]*(?:passw|secret|token|api_?key|credential|authorization|cookie|private_?key)[\w-]*)"""
    r"""(?P<is>['"]?\s*[=:]\s*)(?P<value>b?'[^']*'?|b?"[^"]*"?|[^\s,)}\]]+)""",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

_SHOWN_BY_STR = (decimal.Decimal, uuid.UUID, pathlib.PurePath)
_SHOWN_BY_ISO = (datetime.datetime, datetime.date, datetime.time)


def safe_details(details: object) -> dict[str, Json]:
    """Return *details* as a JSON object; `{}` where it is no mapping. Never raises.

    Keys that look secret keep their place and lose their value. What is deep, long or refers to itself is cut; what
    cannot be shown says so.

    >>> safe_details({"user": "ada", "password": "hunter2", "url": "https://ada:hunter2@example.org/"})
    {'user': 'ada', 'password': '[redacted]', 'url': 'https://[redacted]@example.org/'}
    """
    found = safe_value(details)
    return found if isinstance(found, dict) else {}


def safe_value(value: object) -> Json:
    """Return any value as JSON takes it. Never raises.

    >>> safe_value({1: (2, {"a"}), "when": datetime.date(2024, 2, 29), "bad": float("nan")})
    {'1': [2, ['a']], 'when': '2024-02-29', 'bad': 'nan'}
    """
    return _Look().at(value, 0)


def safe_text(text: str, most: int = _MOST_TEXT) -> str:
    """Return a text that is not too long, holds no credentials of the usual forms and can be sent as UTF-8."""
    if len(text) > most:
        text = f"{text[:most]}... ({len(text) - most} more)"
    if not text.isascii():  # a lone surrogate cannot be sent, and servers find out when the status is on its way
        text = text.encode("utf-8", "replace").decode("utf-8")
    if "://" in text and "@" in text:
        text = _IN_URL.sub(f"{REDACTED}@", text)
    if " " in text and ("asic " in text or "earer " in text or "EARER " in text):
        text = _IN_HEADER.sub(rf"\1 {REDACTED}", text)
    return text


def message_of(error: BaseException) -> str:
    """Return what an exception says, also where it cannot say it. Never raises.

    >>> message_of(KeyError("lamp"))
    "'lamp'"
    """
    return safe_text(safe_message(error), _MOST_MESSAGE)


class _Look:
    """One look at one value: what was met on the way down, and how much may still be met."""

    __slots__ = ("left", "path")

    def __init__(self) -> None:
        self.path: set[int] = set()
        self.left = _MOST_NODES

    def at(self, value: object, depth: int) -> Json:
        self.left -= 1
        if self.left < 0:
            return "..."
        kind: type = type(value)
        if kind is str:
            return safe_text(cast("str", value))
        if value is None or kind is bool:
            return cast("bool | None", value)
        if kind is int:
            number = cast("int", value)
            return number if number.bit_length() <= _MOST_BITS else f"<int of {number.bit_length()} bits>"
        if kind is float:
            return cast("float", value) if math.isfinite(cast("float", value)) else str(value)
        try:
            return self._inside(value, kind, depth)
        except Exception:  # whatever a foreign object does when it is looked at
            return f"<{class_name(kind)} that cannot be shown>"

    def _inside(self, value: object, kind: type, depth: int) -> Json:
        if id(value) in self.path:
            return "<circular>"
        items = _pairs(value, kind) if kind is not dict else _entries(cast("dict[object, object]", value))
        if items is None and not _is(kind, (list, tuple, set, frozenset)):
            return _plain(value, kind)
        if depth >= _MOST_DEEP:
            return f"<{class_name(kind)}>"
        self.path.add(id(value))
        try:
            if items is not None:
                return self._object(items, depth)
            found = self._array(cast("Iterable[object]", value), len(cast("list[object]", value)), depth)
            return sorted(found, key=repr) if _is(kind, (set, frozenset)) else found
        finally:
            self.path.discard(id(value))

    def _object(self, pairs: tuple[int, Iterable[tuple[object, object]]], depth: int) -> dict[str, Json]:
        total, items = pairs
        found: dict[str, Json] = {}
        for key, value in items if total <= _MOST_ITEMS else islice(items, _MOST_ITEMS):
            name = key if type(key) is str and len(key) <= _MOST_KEY else _key(self.at(key, _MOST_DEEP))
            if is_secret(name, value):
                found[name] = REDACTED
            else:
                found[name] = self.at(value, depth + 1)
        if total > _MOST_ITEMS:
            found["..."] = f"{total - _MOST_ITEMS} more"
        return found

    def _array(self, values: Iterable[object], total: int, depth: int) -> list[Json]:
        found = [self.at(value, depth + 1) for value in islice(values, _MOST_ITEMS)]
        if total > _MOST_ITEMS:
            found.append(f"... {total - _MOST_ITEMS} more")
        return found


def _is(kind: type, of: type | tuple[type, ...]) -> bool:
    return issubclass(kind, of)  # for type checkers, which narrow too much on it


def _entries(value: dict[object, object]) -> tuple[int, Iterable[tuple[object, object]]]:
    total = len(value)
    # A copy where that is cheap: another thread may be at it.
    return total, list(value.items()) if total <= _MOST_ITEMS else value.items()


def _pairs(value: object, kind: type) -> tuple[int, Iterable[tuple[object, object]]] | None:
    if _is(kind, Mapping):
        mapping = cast("Mapping[object, object]", value)
        return len(mapping), iter(mapping.items())
    if dataclasses.is_dataclass(kind) and not _is(kind, BaseException):
        names = [field.name for field in dataclasses.fields(kind)]
        return len(names), ((name, getattr(value, name, None)) for name in names)
    return None


def _plain(value: object, kind: type) -> Json:
    if _is(kind, ErrorCategory):
        return cast("ErrorCategory", value).label
    if _is(kind, enum.Enum):
        return safe_value(cast("enum.Enum", value).value)
    if _is(kind, BaseException):
        return safe_text(f"{class_name(kind)}: {message_of(cast('BaseException', value))}")
    if _is(kind, type):
        return class_name(cast("type", value))
    if _is(kind, (bytes, bytearray, memoryview)):
        return f"<{len(cast('bytes', value))} bytes>"
    if _is(kind, _SHOWN_BY_ISO):
        return cast("datetime.date", value).isoformat()
    if _is(kind, datetime.timedelta):
        return cast("datetime.timedelta", value).total_seconds()
    if _is(kind, str):
        return safe_text(str.__str__(cast("str", value)))
    if _is(kind, int):
        return safe_value(int.__int__(cast("int", value)))
    if _is(kind, float):
        return safe_value(float.__float__(cast("float", value)))
    if _is(kind, _SHOWN_BY_STR):
        return safe_text(str(value))
    shown = safe_text(_ADDRESS.sub("", repr(value)[: 2 * _MOST_TEXT]))
    return _ASSIGNED.sub(rf"\g<key>\g<is>{REDACTED}", shown)


def _key(key: Json) -> str:
    return (key if type(key) is str else str(key))[:_MOST_KEY]
