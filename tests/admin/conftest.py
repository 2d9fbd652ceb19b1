"""An admin application, asked as a WSGI server does, and its answers."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from resilience.admin import AdminApplication, admin

TOKEN = "a long random text"  # noqa: S105


class Answer(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


class Asking:
    """Asks an application; `post` gives the token unless another one is given."""

    def __init__(self, application: AdminApplication) -> None:
        self.application = application

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        said = {"by": "ada", "why": "the provider is down"} if body is None else body
        return self._ask("POST", path, said, {"authorization": f"Bearer {TOKEN}", **headers})

    def _ask(self, method: str, path: str, body: object, headers: dict[str, str]) -> Answer:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.partition("?")[0],
            "QUERY_STRING": path.partition("?")[2],
            "CONTENT_LENGTH": str(len(sent)),
            "CONTENT_TYPE": headers.pop("content_type", "application/json"),
            "HTTP_HOST": "shop.example",
            "wsgi.input": io.BytesIO(sent),
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }
        answers: list[tuple[str, list[tuple[str, str]]]] = []
        chunks = self.application(environ, lambda status, headers: answers.append((status, headers)))
        text = b"".join(chunks).decode()
        (status, given) = answers[0]
        found = dict(given)
        is_json = found["content-type"].startswith("application/json") and text
        return Answer(int(status[:3]), json.loads(text) if is_json else text, found)


@pytest.fixture
def ask() -> Iterator[Asking]:
    application = admin(token=TOKEN)
    yield Asking(application)
    application.close()
