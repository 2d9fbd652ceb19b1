"""google.rpc.RetryInfo: the wait that Google's services ask for in the details of an error.

It arrives in three forms. google-api-core hands out the decoded messages, each with a `retry_delay`. A JSON body has
``{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "53s"}`` among its details. A bare gRPC error has
the trailing metadata ``grpc-status-details-bin``, a google.rpc.Status in protobuf's wire format; the few lines that
find one field in it are here, since no protobuf library may be imported for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import cast

from resilience._safe_access import as_str, int_attribute, safe_call, safe_getattr, safe_item
from resilience.classification._responses import bodies
from resilience.classification._waits import Wait, duration, seconds

__all__ = ["retry_info_of"]

_TYPE = "google.rpc.RetryInfo"
_MAX_DETAILS = 50
_NANO = 1e-9


def retry_info_of(thing: object) -> Wait:
    """Return the seconds that the details of an error ask to wait, or None.

    >>> error = Exception()
    >>> error.details = [{"@type": f"type.googleapis.com/{_TYPE}", "retryDelay": "53s"}]
    >>> retry_info_of(error)
    53.0
    """
    waits = map(_wait_of, islice(_details(thing), _MAX_DETAILS))
    return next((wait for wait in waits if wait is not None), _in_metadata(thing))


def _details(thing: object) -> Iterator[object]:
    """Yield the details of an error: messages or mappings."""
    for part in (safe_getattr(thing, "details"), safe_getattr(thing, "error_details"), *bodies(thing)):
        for found in (part, safe_item(part, "details"), safe_item(safe_item(part, "error"), "details")):
            if isinstance(found, list | tuple):
                yield from cast("list[object]", found)


def _wait_of(detail: object) -> Wait:
    if issubclass(type(detail), Mapping):
        named = (as_str(safe_item(detail, "@type")) or "").endswith(_TYPE)
        return duration(as_str(safe_item(detail, "retryDelay")) or "") if named else None
    delay = safe_getattr(detail, "retry_delay")
    return _of_parts(int_attribute(delay, "seconds"), int_attribute(delay, "nanos"))


def _of_parts(whole: int | None, nanos: int | None) -> Wait:
    if whole is None:
        return None
    return seconds(whole + (nanos or 0) * _NANO)


# -- protobuf's wire format --------------------------------------------------------------------------------------------


def _in_metadata(thing: object) -> Wait:
    """Read the google.rpc.Status in the trailing metadata: its third field holds the details, each an Any."""
    metadata = safe_getattr(thing, "trailing_metadata")
    for status in _values(safe_call(metadata) or metadata):
        for detail in _messages(status, 3):
            if any(name.endswith(_TYPE.encode()) for name in _messages(detail, 1)):
                return next((_duration(delay) for info in _messages(detail, 2) for delay in _messages(info, 1)), None)
    return None


def _values(metadata: object) -> list[bytes]:
    try:
        pairs = list(
            islice(cast("Iterator[tuple[object, object]]", iter(cast("Mapping[object, object]", metadata))), 100)
        )
        return [value for key, value in pairs if key == "grpc-status-details-bin" and isinstance(value, bytes)]
    except Exception:  # no metadata after all
        return []


def _messages(message: bytes, field: int) -> list[bytes]:
    """Return the values of a field that are messages or texts; none where the bytes are no message."""
    return [value for number, value in _fields(message) if number == field and isinstance(value, bytes)]


def _duration(message: bytes) -> Wait:
    found = {number: value for number, value in _fields(message) if isinstance(value, int)}
    return _of_parts(found.get(1, 0), found.get(2, 0))


def _fields(message: bytes) -> list[tuple[int, int | bytes]]:
    """Return number and value of each field: numbers as they are, messages and texts as bytes."""
    found: list[tuple[int, int | bytes]] = []
    place = 0
    try:
        while place < len(message):
            tag, place = _varint(message, place)
            value, place = _READERS[tag & 7](message, place)
            found.append((tag >> 3, value))
    except (IndexError, KeyError):  # cut off, or no message
        return []
    return found


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128 or shift > 63:
            return value, place


def _delimited(message: bytes, place: int) -> tuple[bytes, int]:
    size, place = _varint(message, place)
    return message[place : place + size], place + size


def _fixed(size: int) -> Callable[[bytes, int], tuple[int | bytes, int]]:
    return lambda message, place: (int.from_bytes(message[place : place + size], "little"), place + size)


_READERS: Mapping[int, Callable[[bytes, int], tuple[int | bytes, int]]] = {
    0: _varint,
    1: _fixed(8),
    2: _delimited,
    5: _fixed(4),
}
