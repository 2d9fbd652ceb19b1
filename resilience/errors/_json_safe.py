"""Encoding of any value as JSON: bounded in size, without secrets, and never failing.

Details of errors are values of the application, and may be anything: objects whose attributes raise, structures that
refer to themselves, a gigabyte of bytes. `safe_value` returns for each of them something that `json.dumps` takes. The
size of the result is bounded whatever the size of the value.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import NoneType
from typing import Any, cast

from resilience.categories import ErrorCategory
from resilience.errors._redaction import REDACTED, redact_text
from resilience.errors._secrets import is_secret
from resilience.errors._validation import class_name, safe_message

__all__ = ["Json", "bounded", "message_of", "safe_details", "safe_text", "safe_value"]

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""A value that `json.dumps` takes."""

_MAX_DEPTH = 6
_MAX_ITEMS = 50
_MAX_NODES = 1000  # in all: 50 in each of 6 levels would be 15 billion
_MAX_TEXT = 2000
_MAX_KEY = 200
_MAX_MESSAGE = 10_000
_MAX_BITS = 256  # longer whole numbers are no honest detail, and str() of a very long one raises

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_QUOTED_MARK = re.compile(rf"""b?(['"]){re.escape(REDACTED)}\1""")


def safe_details(details: object) -> dict[str, Json]:
    """Return *details* as a JSON object; `{}` where it is no mapping. Never raises.

    Keys that look secret keep their place and lose their value. What is deep, long or refers to itself is cut; a value
    that cannot be shown is replaced by a text that says so.

    >>> safe_details({"user": "ada", "password": "hunter2", "url": "https://ada:hunter2@example.org/"})
    {'user': 'ada', 'password': '[redacted]', 'url': 'https://[redacted]@example.org/'}
    """
    encoded = safe_value(details)
    if isinstance(encoded, dict):
        return encoded
    return {}


def safe_value(value: object) -> Json:
    """Return any value as JSON takes it. Never raises.

    >>> safe_value({1: (2, {"a"}), "when": datetime.date(2024, 2, 29), "bad": float("nan")})
    {'1': [2, ['a']], 'when': '2024-02-29', 'bad': 'nan'}
    """
    return _Encoder().encode(value, 0)


def safe_text(text: str, limit: int = _MAX_TEXT) -> str:
    """Return a text of at most *limit* characters that holds no secret of the usual forms and can be sent as UTF-8."""
    return redact_text(bounded(text, limit))


def bounded(text: str, limit: int) -> str:
    """Return a text that is cut after *limit* characters and can be sent as UTF-8; the cut says how much is missing."""
    if len(text) > limit:
        text = f"{text[:limit]}... ({len(text) - limit} more)"
    if not text.isascii():  # a lone surrogate cannot be sent, and a server would notice after it has sent the status
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


def message_of(error: BaseException) -> str:
    """Return the message of an exception, without secrets; a text in its place where `__str__` fails. Never raises.

    >>> message_of(KeyError("lamp"))
    "'lamp'"
    """
    return safe_text(safe_message(error), _MAX_MESSAGE)


class _Encoder:
    """Encodes one value: knows the containers it is inside of, and how many nodes may still be encoded."""

    __slots__ = ("_nodes_left", "_path")

    def __init__(self) -> None:
        self._path: set[int] = set()
        self._nodes_left = _MAX_NODES

    def encode(self, value: object, depth: int) -> Json:
        """Return *value* as JSON. Never raises."""
        self._nodes_left -= 1
        if self._nodes_left < 0:
            return "..."
        kind = type(value)
        for exact, convert in _EXACT_TYPES:
            if kind is exact:
                return convert(value)
        try:
            return self._encode_object(value, kind, depth)
        except Exception:  # a foreign object may raise anything when it is examined
            return f"<{class_name(kind)} that cannot be shown>"

    def _encode_object(self, value: object, kind: type, depth: int) -> Json:
        if id(value) in self._path:
            return "<circular>"
        encode_children = _container_encoder(kind)
        if encode_children is None:
            return _encode_leaf(value, kind)
        if depth >= _MAX_DEPTH:
            return f"<{class_name(kind)}>"
        self._path.add(id(value))
        try:
            return encode_children(self, value, depth + 1)
        finally:
            self._path.discard(id(value))

    def encode_dict(self, value: dict[object, object], depth: int) -> Json:
        """Encode a dict as an object."""
        if type(value) is dict and len(value) <= _MAX_ITEMS:  # a cheap copy: another thread may change it meanwhile
            return self._object(len(value), list(value.items()), depth)
        return self.encode_mapping(value, depth)

    def encode_mapping(self, value: Mapping[object, object], depth: int) -> Json:
        """Encode any mapping as an object."""
        return self._object(len(value), value.items(), depth)

    def encode_dataclass(self, value: Any, depth: int) -> Json:
        """Encode a dataclass as an object of its fields."""
        names = [field.name for field in dataclasses.fields(value)]
        return self._object(len(names), ((name, getattr(value, name, None)) for name in names), depth)

    def _object(self, total: int, pairs: Iterable[tuple[object, object]], depth: int) -> dict[str, Json]:
        encoded: dict[str, Json] = {}
        for key, value in islice(pairs, _MAX_ITEMS):
            name = self._key(key)
            encoded[name] = REDACTED
            if not is_secret(name, value):
                encoded[name] = self.encode(value, depth)
        if total > _MAX_ITEMS:
            encoded["..."] = f"{total - _MAX_ITEMS} more"
        return encoded

    def _key(self, key: object) -> str:
        if type(key) is str and len(key) <= _MAX_KEY:
            return key
        return str(self.encode(key, _MAX_DEPTH))[:_MAX_KEY]

    def encode_array(self, values: list[object] | tuple[object, ...], depth: int) -> list[Json]:
        """Encode a list or a tuple as an array."""
        return self._items(len(values), values, depth)

    def encode_set(self, values: set[object] | frozenset[object], depth: int) -> list[Json]:
        """Encode a set as an array, in an order that is the same for equal sets."""
        return sorted(self._items(len(values), values, depth), key=repr)

    def _items(self, total: int, values: Iterable[object], depth: int) -> list[Json]:
        encoded = [self.encode(value, depth) for value in islice(values, _MAX_ITEMS)]
        if total > _MAX_ITEMS:
            encoded.append(f"... {total - _MAX_ITEMS} more")
        return encoded


_CONTAINERS: tuple[tuple[type | tuple[type, ...], Callable[[_Encoder, Any, int], Json]], ...] = (
    (dict, _Encoder.encode_dict),
    (Mapping, _Encoder.encode_mapping),
    ((list, tuple), _Encoder.encode_array),
    ((set, frozenset), _Encoder.encode_set),
)


def _container_encoder(kind: type[object]) -> Callable[[_Encoder, Any, int], Json] | None:
    """Return the method that encodes what values of *kind* contain; None for those that are no containers."""
    for bases, method in _CONTAINERS:
        if issubclass(kind, bases):
            return method
    if dataclasses.is_dataclass(kind) and not issubclass(kind, BaseException):
        return _Encoder.encode_dataclass
    return None


def _unchanged(value: Any) -> Json:
    return cast("Json", value)


def _encode_int(number: int) -> Json:
    bits = number.bit_length()
    if bits > _MAX_BITS:
        return f"<int of {bits} bits>"
    return number


def _encode_float(number: float) -> Json:
    if math.isfinite(number):
        return number
    return str(number)


_EXACT_TYPES: tuple[tuple[type, Callable[[Any], Json]], ...] = (
    (str, safe_text),
    (int, _encode_int),
    (NoneType, _unchanged),
    (bool, _unchanged),
    (float, _encode_float),
)
"""The values that most details hold. Compared by identity: hashing a class may run a metaclass of the application."""


def _encode_leaf(value: object, kind: type) -> Json:
    """Encode what is no container, by the first of `_LEAF_TYPES` that its class is derived from; else by its `repr`."""
    for bases, convert in _LEAF_TYPES:
        if issubclass(kind, bases):
            return convert(value)
    shown = safe_text(_ADDRESS.sub("", repr(value)[: 2 * _MAX_TEXT]))
    return _QUOTED_MARK.sub(REDACTED, shown)  # the mark stands for the literal with its quotes


def _encode_exception(error: BaseException) -> str:
    return safe_text(f"{class_name(type(error))}: {message_of(error)}")


_LEAF_TYPES: tuple[tuple[type | tuple[type, ...], Callable[[Any], Json]], ...] = (
    (ErrorCategory, lambda category: category.label),
    (enum.Enum, lambda member: safe_value(member.value)),
    (BaseException, _encode_exception),
    (type, class_name),
    ((bytes, bytearray, memoryview), lambda data: f"<{len(data)} bytes>"),
    ((datetime.datetime, datetime.date, datetime.time), lambda moment: moment.isoformat()),
    (datetime.timedelta, lambda duration: duration.total_seconds()),
    # Of the base class: a subclass may override these methods.
    (str, lambda text: safe_text(str.__str__(text))),
    (int, lambda number: safe_value(int.__int__(number))),
    (float, lambda number: safe_value(float.__float__(number))),
    ((decimal.Decimal, uuid.UUID, pathlib.PurePath), lambda value: safe_text(str(value))),
)
"""From the precise to the general: a member of an IntEnum is encoded as a member, not as an int."""
