"""Any ASGI application: what it raises is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from resilience.categories import CategoryLike
from resilience.integrations.http._error_responder import Speaker, tell
from resilience.integrations.http.problem_details import Format

__all__ = ["AsgiApp", "ProblemMiddleware"]

# As the frameworks have them: mappings are invariant, so that theirs would not fit any closer.
_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[MutableMapping[str, Any], _Receive, _Send], Awaitable[None]]
"""An ASGI application."""


class ProblemMiddleware:
    """Answer what an ASGI application raises with a document, and log it. Around the application, or as middleware.

    *format* and *public* as for `document`. An exception after the answer has begun is logged and raised on, since it
    cannot be answered; so is one outside of HTTP. What is no Exception (cancellation, Ctrl-C) passes.

    >>> async def shop(scope, receive, send):
    ...     raise LookupError("no such lamp")
    >>> guarded = ProblemMiddleware(shop, format="service")
    """

    def __init__(
        self,
        app: AsgiApp,
        *,
        format: Format = "problem",  # noqa: A002 - what it is called everywhere
        public: CategoryLike | None = None,
    ) -> None:
        self._app = app
        self._speaker = Speaker.of(format, public)

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Call the application."""
        if scope.get("type") == "lifespan":  # what it raises there, the server tells
            await self._app(scope, receive, send)
            return
        # A websocket has no answer. Neither has what was begun: also where the client had left and sending failed.
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
                tell(error, method, path, None)
                raise
            status, headers, content = self._speaker.answer(error, method, path)
        else:
            return
        lines = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else content})
