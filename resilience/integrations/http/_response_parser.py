"""Parser for the HTTP answers of any client: status, headers and JSON document.

The answer comes from another service and may be hostile. Nothing in it is trusted: sizes are bounded, types are
checked, and an answer that is no document is parsed as one without content. The parser reads from no socket.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from resilience._safe_access import as_int, safe_getattr
from resilience.classification import retry_after

__all__ = ["ParsedResponse", "parse_response"]

_MAX_BYTES: Final = 64 * 1024  # ours is bounded by its details, and no honest one is longer
_MAX_HEADERS: Final = 1000
_MAX_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class ParsedResponse:
    """An error response. Names in *headers* are in lower case; *document* is empty where the body is none."""

    status: int
    headers: Mapping[str, str]
    document: Mapping[str, object]

    def text(self, name: str, limit: int = _MAX_TEXT) -> str | None:
        """Return a text of the document; None unless it is one of at most *limit* characters."""
        text = self.document.get(name)
        if isinstance(text, str) and 0 < len(text) <= limit:
            return text
        return None

    def wait(self) -> float | None:
        """Return the seconds to wait, by the header or the document.

        The header is a whole number, rounded up: the document is more precise where the two agree otherwise.
        """
        header = retry_after(_ResponseError(self.headers, None))
        body = retry_after(_ResponseError({}, self.document.get("retry_after")))
        if header is None or (body is not None and 0 <= header - body < 1):
            return body
        return header


class _ResponseError(Exception):
    """Carries the hints of a response to `retry_after`, which reads exceptions."""

    def __init__(self, headers: Mapping[str, str], wait: object) -> None:
        super().__init__()
        self.headers = headers
        self.retry_after: float | None = None
        if isinstance(wait, int | float):  # a text is an error of the server
            self.retry_after = wait


def parse_response(response: object) -> ParsedResponse | None:
    """Return the contents of an error response; None where the status is below 400. Never raises for its content.

    *response* is an object of a client library, or ``(status, headers, body)``. Raises TypeError for another tuple.
    """
    status, headers, body = _parts_of(response)
    code = as_int(status)
    if code is None or not 400 <= code <= 599:
        return None
    parsed = _parse_headers(headers)
    return ParsedResponse(code, parsed, _parse_document(body, parsed.get("content-type", "")))


def _parts_of(response: object) -> tuple[object, object, object]:
    """Return status, headers and body of a response, each of any type and None where it has none."""
    if isinstance(response, tuple):
        parts = cast("tuple[object, ...]", response)
        if len(parts) != 3:
            raise TypeError(f"response=a tuple of {len(parts)}: give (status, headers, body)")
        status, headers, body = parts
        return status, headers, body
    status = safe_getattr(response, "status_code")
    if status is None:  # aiohttp, urllib
        status = safe_getattr(response, "status")
    return status, safe_getattr(response, "headers"), _body_of(response)


def _body_of(response: object) -> object:
    """Return the body of a response object that has been read; None otherwise.

    `content` of a streamed response of requests would download the body, and a hostile one has no end.
    """
    if safe_getattr(response, "_content") is False:
        return None
    return safe_getattr(response, "content")  # httpx raises where the body was not read


def _parse_headers(headers: object) -> dict[str, str]:
    """Return headers by their names in lower case. Of several with one name the first counts."""
    parsed: dict[str, str] = {}
    try:
        for name, value in _pairs_of(headers):
            parsed.setdefault(_decoded(name).lower(), _decoded(value))
            if len(parsed) >= _MAX_HEADERS:
                break
    except Exception:  # no headers after all; those before this point count
        return parsed
    return parsed


def _pairs_of(headers: object) -> Iterable[tuple[object, object]]:
    """Return the headers as pairs: of a mapping its items, and a list of pairs, as ASGI has them, itself."""
    items: object = getattr(headers, "items", None)
    if callable(items):
        headers = items()
    return cast("Iterable[tuple[object, object]]", headers or ())


def _decoded(part: object) -> str:
    """Return a name or a value as text. Bytes are latin-1, as in HTTP/1.1."""
    if isinstance(part, bytes):
        return part.decode("latin-1")
    return str(part)


def _parse_document(body: object, media_type: str) -> Mapping[str, object]:
    """Return the JSON object of a body; an empty one where there is none, it is too long, or it is something else.

    A body without a media type is tried: some servers do not send one.
    """
    if isinstance(body, Mapping):  # parsed by the caller
        entries = cast("Mapping[object, object]", body).items()
        return {key: value for key, value in entries if isinstance(key, str)}
    if not isinstance(body, bytes | bytearray | str) or len(body) > _MAX_BYTES:
        return {}
    if media_type and "json" not in media_type.lower():
        return {}
    try:
        document: object = json.loads(body, parse_constant=_reject)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, a number of a million digits, a million brackets
        return {}
    if isinstance(document, dict):
        return cast("dict[str, object]", document)
    return {}


def _reject(constant: str) -> object:
    """Raise ValueError for NaN and Infinity, which Python's parser accepts and JSON does not have."""
    raise ValueError(f"{constant} is not valid JSON")
