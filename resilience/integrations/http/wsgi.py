"""WSGI middleware that answers the exceptions of any WSGI application."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol, TypeAlias

from resilience.categories import CategoryLike
from resilience.integrations.http._error_responder import ErrorResponder, log_error
from resilience.integrations.http.problem_details import Format, phrase_of

__all__ = ["Answer", "StartResponse", "WsgiApp", "WsgiProblemMiddleware"]

_Failure: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
_Write: TypeAlias = Callable[[bytes], object]


class StartResponse(Protocol):
    """The function of a WSGI server that begins an answer."""

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: _Failure | None = None, /
    ) -> _Write:  # what the standard library's servers have
        """Begin the answer."""
        ...


WsgiApp: TypeAlias = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
"""A WSGI application."""


class WsgiProblemMiddleware:
    """Answer exceptions of a WSGI application with a document, and log them.

    *format* and *public* as for `document`. An exception after the first piece of the body is logged and raised again,
    since it cannot be answered. `SystemExit` and Ctrl-C pass. Flask answers what its views raise by itself, unless
    `PROPAGATE_EXCEPTIONS` is set.

    >>> def shop(environ, start_response):
    ...     raise LookupError("no such lamp")
    >>> def start_response(status, headers, exc_info=None): print(status)
    >>> b"".join(WsgiProblemMiddleware(shop, format="service")({"PATH_INFO": "/lamps"}, start_response))
    500 Internal Server Error
    b'{"error": "INTERNAL_ERROR", "message": "An internal error occurred", "details": {}}'
    """

    def __init__(
        self,
        app: WsgiApp,
        *,
        format: Format = "problem",  # noqa: A002 - the name of this parameter everywhere
        public: CategoryLike | None = None,
    ) -> None:
        self._app = app
        self._responder = ErrorResponder.of(format, public)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Call the application."""
        return Answer(self._app, self._responder, environ, start_response)


class Answer:
    """The pieces of an answer, where exceptions of the class *answers* are answered; others pass.

    A class, since a generator that was never started does not close the application's.
    """

    def __init__(
        self,
        app: WsgiApp,
        responder: ErrorResponder,
        environ: dict[str, Any],
        start_response: StartResponse,
        answers: type[Exception] = Exception,
    ) -> None:
        self._answers = answers
        # Read now: the application may change it.
        self._method: object = environ.get("REQUEST_METHOD", "GET")
        self._path = _path_of(environ)
        self._responder = responder
        self._start_response = start_response
        self._sent = False
        self._inner: object = None
        self._pieces: Iterator[bytes] = iter(())
        try:
            self._inner = found = app(environ, self._started)
            self._pieces = iter(found)
        except answers as error:
            self._pieces = iter([self._answered(error)])

    def _started(self, status: str, headers: list[tuple[str, str]], exc_info: _Failure | None = None, /) -> _Write:
        # A server may refuse the third argument where there is none.
        write = self._start_response(status, headers, *(() if exc_info is None else (exc_info,)))

        def watched(data: bytes) -> object:
            self._sent = True
            return write(data)

        return watched

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._pieces)
        except StopIteration:
            raise
        except self._answers as error:
            self._pieces = iter(())
            return self._answered(error)
        self._sent = self._sent or bool(piece)  # headers leave with the first byte, not before
        return piece

    def close(self) -> None:
        """Close the iterable that the application has returned; servers always call this."""
        close: object = getattr(self._inner, "close", None)
        if not callable(close):
            return
        try:
            close()
        except self._answers as error:
            log_error(error, self._method, self._path, None)
            raise

    def _answered(self, error: Exception) -> bytes:
        """Begin a new answer and return its body; raise *error* again where the first one has been sent."""
        if self._sent:
            log_error(error, self._method, self._path, None)
            raise error
        status, headers, content = self._responder.answer(error, self._method, self._path)
        # The third argument replaces an answer that has begun; where it has been sent, the server raises.
        try:
            self._start_response(f"{status} {phrase_of(status)}", list(headers.items()), sys.exc_info())
        except Exception:  # some servers send it with the first piece, even an empty one
            log_error(error, self._method, self._path, None)
            raise
        self._sent = True
        return b"" if self._method == "HEAD" else content


def _path_of(environ: dict[str, Any]) -> str:
    """Return the path. WSGI has it as UTF-8 that was decoded as latin-1."""
    found = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    return found.encode("latin-1", "replace").decode("utf-8", "replace")
