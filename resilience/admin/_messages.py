"""Requests and answers of the admin application, apart from any server.

ASGI and WSGI requests become a `Request`, and a `Response` becomes their answer, so that `Service` is tested without a
server, and both kinds of server behave alike.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["Refusal", "Request", "Response", "json_response"]


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A request: *path* below the mount point, names of *headers* in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    """An answer. One that *streams* has no body: events follow, those kept *after* a number first."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    streams: bool = False
    after: int | None = None

    def all_headers(self) -> list[tuple[str, str]]:
        """Return the headers: nothing is cached, framed or run that is not the page's own."""
        return [
            ("content-type", f"{self.content_type}; charset=utf-8"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            *self.headers.items(),
        ]


class Refusal(Exception):
    """A request that is refused, with the *status* and what to do instead.

    The message is sent as it is, in ``{"error": ...}``. So it must not quote an exception of the program, whose message
    may hold data of a call.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers: Mapping[str, str] = headers or {}

    def response(self) -> Response:
        """Return the answer."""
        body = json.dumps({"error": str(self)}).encode()
        return Response(self.status, body, headers=self.headers)


def json_response(document: Any, status: int = 200) -> Response:
    """Return *document* as an answer."""
    return Response(status, json.dumps(document, default=str, separators=(",", ":")).encode())
