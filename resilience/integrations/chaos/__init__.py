"""Chaos by a header: middleware that puts the headers of a request in force for the switches of `resilience.faults`.

    ChaosMiddleware        the headers of a request of any ASGI application
    WsgiChaosMiddleware    those of any WSGI application

The switch itself is ``enabled=header("x-chaos", secret)``: without the header, and without the secret, a request gets
no faults. No framework is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

from resilience._validation import require
from resilience.faults import served_headers
from resilience.integrations.http.asgi import AsgiApp, AsgiReceive, AsgiSend
from resilience.integrations.http.wsgi import StartResponse, WsgiApp

__all__ = ["ChaosMiddleware", "WsgiChaosMiddleware"]


class ChaosMiddleware:
    """Put the header *header* of a request, or of a websocket, in force for an ASGI application, and what it calls.

    Raises TypeError or ValueError for an invalid header.

    >>> from resilience.faults import header
    >>> switch = header("x-chaos", "a1b2")
    >>> async def shop(scope, receive, send):
    ...     print(switch())
    >>> import anyio
    >>> scope = {"type": "http", "headers": [(b"x-chaos", b"a1b2")]}
    >>> anyio.run(ChaosMiddleware(shop, header="X-Chaos"), scope, None, None)
    True
    """

    def __init__(self, app: AsgiApp, *, header: str) -> None:
        self._app = app
        self._name = _parse_name(header).lower()
        self._line = self._name.encode("latin-1")

    async def __call__(self, scope: MutableMapping[str, Any], receive: AsgiReceive, send: AsgiSend) -> None:
        """Call the application."""
        values = [value for key, value in scope.get("headers", ()) if key == self._line]
        with served_headers([(self._name, value.decode("latin-1")) for value in values]):
            await self._app(scope, receive, send)


class WsgiChaosMiddleware:
    """Put the header *header* of a request in force for a WSGI application, and for each piece of its answer.

    Raises TypeError or ValueError for an invalid header.

    >>> from resilience.faults import header
    >>> switch = header("x-chaos", "a1b2")
    >>> def shop(environ, start_response):
    ...     yield str(switch()).encode()
    >>> list(WsgiChaosMiddleware(shop, header="x-chaos")({"HTTP_X_CHAOS": "a1b2"}, print))
    [b'True']
    """

    def __init__(self, app: WsgiApp, *, header: str) -> None:
        self._app = app
        self._name = _parse_name(header)
        self._variable = f"HTTP_{self._name.upper().replace('-', '_')}"

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Call the application."""
        value = environ.get(self._variable)
        if value is None:
            return self._app(environ, start_response)
        headers = [(self._name, str(value))]
        with served_headers(headers):
            return _Pieces(self._app(environ, start_response), headers)


class _Pieces:
    """The pieces of an answer: a server takes them after the application has returned, in another context perhaps."""

    def __init__(self, answer: Iterable[bytes], headers: list[tuple[str, str]]) -> None:
        self._answer = answer
        self._headers = headers
        self._pieces: Iterator[bytes] = iter(answer)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with served_headers(self._headers):
            return next(self._pieces)

    def close(self) -> None:
        close: Callable[[], object] | None = getattr(self._answer, "close", None)
        if close is not None:
            with served_headers(self._headers):
                close()


def _parse_name(header: str) -> str:
    expected = "the name of a header, such as 'x-chaos'"
    require(isinstance(header, str), "header", header, expected, TypeError)
    require(header.isascii() and header.replace("-", "").isalnum(), "header", header, expected)
    return header
