"""WSGI middleware that puts the deadline of a request in force."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from resilience._runtime.callables import name_of
from resilience.categories import CategoryLike
from resilience.errors.base import DeadlineExceededError
from resilience.integrations.deadlines._arrival import Arrival, active_deadline, report_expired, within
from resilience.integrations.deadlines.header import DeadlineHeader
from resilience.integrations.http._error_responder import ErrorResponder
from resilience.integrations.http.problem_details import Format, phrase_of
from resilience.integrations.http.wsgi import Answer, StartResponse, WsgiApp

__all__ = ["WsgiDeadlineMiddleware"]


class WsgiDeadlineMiddleware:
    """Put the deadline that a request brings in force for a WSGI application, and for each piece of its answer.

    The application reads it by `remaining`; its guarded calls begin nothing that could not end in time. Nothing
    interrupts the application itself. Where it raises `DeadlineExceededError` before its answer has begun the client
    gets 504; a request whose deadline had passed on arrival gets that at once, without a call of the application.

    The options are those of `DeadlineMiddleware`. Raises TypeError or ValueError for invalid ones. In Flask this is
    ``app.wsgi_app = WsgiDeadlineMiddleware(app.wsgi_app, header=...)``.

    >>> from resilience import remaining
    >>> def shop(environ, start_response):
    ...     print(remaining() <= 30)
    ...     return []
    >>> limited = WsgiDeadlineMiddleware(shop, header="x-envoy-expected-rq-timeout-ms", maximum=30)
    >>> list(limited({"HTTP_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS": "90000"}, print))
    True
    []
    """

    def __init__(
        self,
        app: WsgiApp,
        *,
        header: str | DeadlineHeader,
        default: float | timedelta | None = None,
        maximum: float | timedelta | None = 60,
        format: Format = "problem",  # noqa: A002 - the name of this parameter everywhere
        public: CategoryLike | None = None,
    ) -> None:
        self._app = app
        self._responder = ErrorResponder.of(format, public)
        self._header = DeadlineHeader.of(header)
        self._variable = f"HTTP_{self._header.name.upper().replace('-', '_')}"
        self._arrival = Arrival(default, maximum)
        self._target = name_of(app)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Call the application."""
        seconds = self._arrival.read(self._header, environ.get(self._variable), self._target)
        if seconds is None:
            return self._app(environ, start_response)
        if seconds > 0:
            limited = _Limited(self._app, seconds, self._target)
            return Answer(limited, self._responder, environ, start_response, DeadlineExceededError)
        report_expired(self._target)
        error = DeadlineExceededError(self._target)
        status, headers, content = self._responder.quiet_answer(error, environ.get("PATH_INFO"))
        start_response(f"{status} {phrase_of(status)}", list(headers.items()))
        return [content] if environ.get("REQUEST_METHOD") != "HEAD" else [b""]


class _Limited:
    """A WSGI application within a deadline that begins now, and the pieces of its answer.

    A server may take the pieces in another context than the one that called the application, so the deadline is put in
    force for each.
    """

    def __init__(self, app: WsgiApp, seconds: float, target: str) -> None:
        self._app = app
        self._target = target
        self._due = active_deadline(seconds)
        self._answer: object = None
        self._pieces: Iterator[bytes] = iter(())

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        with within(self._due, self._target):
            answer = self._app(environ, start_response)
            self._answer, self._pieces = answer, iter(answer)
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with within(self._due, self._target):
            return next(self._pieces)

    def close(self) -> None:
        close: object = getattr(self._answer, "close", None)
        if callable(close):
            with within(self._due, self._target):
                close()
