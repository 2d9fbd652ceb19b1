"""ASGI middleware that puts the deadline of a request in force."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from datetime import timedelta
from typing import Any

from resilience._runtime.callables import name_of
from resilience.categories import CategoryLike
from resilience.errors.base import DeadlineExceededError
from resilience.integrations.deadlines._arrival import Arrival, active_deadline, late_errors, report_expired
from resilience.integrations.deadlines.header import DeadlineHeader
from resilience.integrations.http._error_responder import ErrorResponder
from resilience.integrations.http.asgi import AsgiApp, AsgiReceive, AsgiSend, send_answer
from resilience.integrations.http.problem_details import Format
from resilience.policies.deadline import Deadline

__all__ = ["DeadlineMiddleware"]


class DeadlineMiddleware:
    """Put the deadline that a request brings in force for an ASGI application, which is cancelled when it comes.

    The application reads it by `remaining`; its guarded calls begin nothing that could not end in time. A request whose
    deadline passes before its answer has begun is answered with 504, one whose deadline had passed on arrival at once,
    without a call of the application; the event is ``call.timed_out`` with a limit of 0. An answer that has begun is
    broken off. A header that says no time, such as ``soon``, ``nan`` or ten thousand digits, is as none, with the event
    ``deadline.ignored``, without its value. Where two proxies have added one each, the earliest holds.

    Args:
        header: the header that has the time left, by its name or as a `DeadlineHeader`.
        default: seconds for a request that brings no deadline, or a header that says no time. None: no limit.
        maximum: the most seconds that a client gets, whatever it asks for. None: as many as it asks for.
        format, public: the document of the answer 504, as for `ProblemMiddleware`.

    Websockets and the lifespan have no deadline. Raises TypeError or ValueError for invalid options.

    >>> from resilience import remaining
    >>> async def shop(scope, receive, send):
    ...     print(remaining())
    >>> limited = DeadlineMiddleware(shop, header="x-envoy-expected-rq-timeout-ms", maximum=30)
    """

    def __init__(
        self,
        app: AsgiApp,
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
        self._line = self._header.name.encode("ascii")
        self._arrival = Arrival(default, maximum)
        self._target = name_of(app)

    async def __call__(self, scope: MutableMapping[str, Any], receive: AsgiReceive, send: AsgiSend) -> None:
        """Call the application."""
        seconds: float | None = None
        if scope.get("type") == "http":
            seconds = self._arrival.read(self._header, _value_of(self._line, scope.get("headers", ())), self._target)
        if seconds is None:
            await self._app(scope, receive, send)
        elif seconds > 0:
            await self._call(seconds, scope, receive, send)
        else:
            report_expired(self._target)
            answer = self._responder.quiet_answer(DeadlineExceededError(self._target), scope.get("path"))
            await send_answer(send, scope.get("method"), *answer)

    async def _call(
        self, seconds: float, scope: MutableMapping[str, Any], receive: AsgiReceive, send: AsgiSend
    ) -> None:
        begun = False
        method, path = scope.get("method"), scope.get("path")  # now: the application may change them

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = begun or message.get("type") == "http.response.start"
            await send(message)

        try:
            with late_errors(active_deadline(seconds), self._target):
                await Deadline(seconds).acall(self._app, scope, receive, watched)
        except DeadlineExceededError as error:
            if begun:
                raise
            answer = self._responder.answer(error, method, path)
        else:
            return
        await send_answer(send, method, *answer)


def _value_of(name: bytes, lines: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the value of the header *name*: where several lines have it, joined by commas; None where none has."""
    values = [value for key, value in lines if key == name]
    if not values:
        return None
    return b",".join(values).decode("latin-1")
