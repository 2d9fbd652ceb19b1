"""Read an answer of any client: its status, its headers and its document. It is somebody else's: believe nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from resilience._safe_access import as_int, safe_getattr
from resilience.classification import retry_after

__all__ = ["Heard", "hear"]

_MOST_BYTES: Final = 64 * 1024  # ours is bounded by its details, and no honest one is longer
_MOST_HEADERS: Final = 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """What an answer has said: *document* is empty where it had none."""

    status: int
    headers: Mapping[str, str]
    document: Mapping[str, object]

    def word(self, name: str, most: int = 200) -> str | None:
        """Return a text of the document, where it is one and not too long."""
        found = self.document.get(name)
        return found if isinstance(found, str) and 0 < len(found) <= most else None

    def wait(self) -> float | None:
        """Return the seconds to wait, of the header or the document.

        The header is a whole number, rounded up: the document is more precise where it says the same.
        """
        asked = retry_after(_Asked(self.headers))
        told = retry_after(_Told(self.document.get("retry_after")))
        if asked is None or told is None:
            return told if asked is None else asked
        return told if 0 <= asked - told < 1 else asked


class _Asked(Exception):
    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers


class _Told(Exception):
    def __init__(self, wait: object) -> None:
        self.retry_after = wait if isinstance(wait, int | float) else None  # a text is a mistake; not in a header


def hear(response: object) -> Heard | None:
    """Return what *response* says, or None where it is about no failure. Never raises, never reads from a socket."""
    if isinstance(response, tuple):
        parts = cast("tuple[object, ...]", response)
        if len(parts) != 3:
            raise TypeError(f"response=a tuple of {len(parts)}: give (status, headers, body)")
        status, headers, body = parts
    else:
        status = safe_getattr(response, "status_code")
        status = safe_getattr(response, "status") if status is None else status
        headers, body = safe_getattr(response, "headers"), _body_of(response)
    found = as_int(status)
    if found is None or not 400 <= found <= 599:
        return None
    lines = _lines(headers)
    return Heard(found, lines, _document(body, lines.get("content-type", "")))


def _body_of(response: object) -> object:
    # What `requests` has been asked to stream is downloaded by asking for it: a hostile one has no end.
    if safe_getattr(response, "_content") is False:
        return None
    return safe_getattr(response, "content")  # httpx raises where it was not read


def _lines(headers: object) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        items: object = getattr(headers, "items", None)
        pairs: object = items() if callable(items) else headers
        for pair in cast("list[tuple[object, object]]", pairs or ()):
            if len(found) >= _MOST_HEADERS:
                break
            name, value = (part.decode("latin-1") if isinstance(part, bytes) else str(part) for part in pair)
            found.setdefault(name.lower(), value)
    except Exception:  # no headers after all; what was read holds
        return found
    return found


def _document(body: object, media_type: str) -> Mapping[str, object]:
    if isinstance(body, Mapping):  # read by whoever asks
        return {key: value for key, value in cast("Mapping[object, object]", body).items() if isinstance(key, str)}
    if not isinstance(body, bytes | bytearray | str) or len(body) > _MOST_BYTES:
        return {}
    if media_type and "json" not in media_type.lower():
        return {}
    try:
        found: object = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, a number of a million digits, a million brackets
        return {}
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")
