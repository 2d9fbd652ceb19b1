"""ASGI middleware that answers the exceptions of any ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from resilience.categories import CategoryLike
from resilience.integrations.http._error_responder import ErrorResponder, log_error
from resilience.integrations.http.problem_details import Format

__all__ = ["AsgiApp", "AsgiReceive", "AsgiSend", "ProblemMiddleware", "send_answer"]

# As wide as those of the frameworks: mappings are invariant, so more precise types would reject a framework's.
_Message: TypeAlias = MutableMapping[str, Any]
AsgiReceive: TypeAlias = Callable[[], Awaitable[_Message]]
"""The function by which an ASGI application takes the messages of a request."""
AsgiSend: TypeAlias = Callable[[_Message], Awaitable[None]]
"""The function by which an ASGI application sends the messages of its answer."""
_LOGGED = "resilience.logged"
AsgiApp: TypeAlias = Callable[[MutableMapping[str, Any], AsgiReceive, AsgiSend], Awaitable[None]]
"""An ASGI application."""


class ProblemMiddleware:
    """Answer exceptions of an ASGI application with a document, and log them. Wraps the application or a part of it.

    *format* and *public* as for `document`. An exception after the answer has begun is logged and raised again, since
    it cannot be answered; so is one outside of HTTP. Cancellation and Ctrl-C pass.

    >>> async def shop(scope, receive, send):
    ...     raise LookupError("no such lamp")
    >>> guarded = ProblemMiddleware(shop, format="service")
    """

    def __init__(
        self,
        app: AsgiApp,
        *,
        format: Format = "problem",  # noqa: A002 - the name of this parameter everywhere
        public: CategoryLike | None = None,
    ) -> None:
        self._app = app
        self._responder = ErrorResponder.of(format, public)

    async def __call__(self, scope: MutableMapping[str, Any], receive: AsgiReceive, send: AsgiSend) -> None:
        """Call the application."""
        if scope.get("type") == "lifespan":  # the server reports its exceptions
            await self._app(scope, receive, send)
            return
        # By identity, and in the scope: a middleware of this kind that stands outside logs none of them again.
        logged: set[int] = scope.setdefault(_LOGGED, set())
        # A websocket has no answer. Nor can an answer that has begun be replaced, not even where sending it failed.
        begun = scope.get("type") != "http"

        async def watched(message: _Message) -> None:
            nonlocal begun
            begun = begun or message.get("type") == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            method, path = scope.get("method", "GET"), scope.get("path")
            if begun:
                if id(error) not in logged:
                    logged.add(id(error))
                    log_error(error, method, path, None)
                raise
            answer = self._responder.answer(error, method, path)
        else:
            return
        await send_answer(send, method, *answer)


async def send_answer(send: AsgiSend, method: object, status: int, headers: dict[str, str], content: bytes) -> None:
    """Send a whole answer to a request of this *method*."""
    lines = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else content})
