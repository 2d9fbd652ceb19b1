"""Starlette and FastAPI: what routes and dependencies raise is answered."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from resilience.categories import CategoryLike
from resilience.errors._json_safe import Json, safe_text
from resilience.errors.base import ResilienceError
from resilience.integrations.http._error_responder import Speaker, encoded
from resilience.integrations.http.asgi import ProblemMiddleware
from resilience.integrations.http.problem_details import MEDIA_TYPES, Format, phrase_of

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["install"]

_FAILED = "Request validation failed"
_MOST_ERRORS = 50
_MOST_NAME = 200


def install(
    app: Starlette,
    *,
    format: Format = "problem",  # noqa: A002 - what it is called everywhere
    public: CategoryLike | None = None,
) -> None:
    """Answer what *app*, a Starlette or FastAPI application, raises. Call it once, before the application starts.

    A `ResilienceError` has the status and the document that `document` says. A request that FastAPI refuses is a 422
    with `details.errors`, each with `field`, `message` and `type`. Everything else that is raised is answered with its
    category and nothing more, and logged with its path. An `HTTPException` is answered as the framework does. Handlers
    of your own for more precise classes go first.

    >>> from fastapi import FastAPI
    >>> app = FastAPI()
    >>> install(app)
    """
    speaker = Speaker.of(format, public)

    async def answer(request: Request, error: Exception) -> Response:
        if request.scope["type"] != "http":  # a websocket: answering nothing would leave it open
            raise error
        return _response(*speaker.answer(error, request.method, request.scope.get("path")))

    async def refuse(request: Request, error: Exception) -> Response:
        if request.scope["type"] != "http":
            raise error
        content = encoded(_refusal(speaker.format, error))
        return _response(422, {"Content-Type": MEDIA_TYPES[speaker.format]}, content)

    # For what routes raise, so that middlewares of the application's own see an answer; and for everything else, those
    # middlewares included. The last is for what is added later, outside: Starlette answers it, then raises it on.
    app.add_exception_handler(ResilienceError, answer)
    refused = _refused_by_fastapi(app)
    if refused is not None:
        app.add_exception_handler(refused, refuse)
    app.add_middleware(ProblemMiddleware, format=format, public=public)
    app.add_exception_handler(Exception, answer)


def _response(status: int, headers: dict[str, str], content: bytes) -> Response:
    from starlette.responses import Response

    return Response(content, status, headers)


def _refused_by_fastapi(app: object) -> type[Exception] | None:
    # Whose class the application is, is imported.
    fastapi = sys.modules.get("fastapi")
    if fastapi is None or not isinstance(app, fastapi.FastAPI):
        return None
    from fastapi.exceptions import RequestValidationError

    return RequestValidationError


def _refusal(format: Format, error: Exception) -> dict[str, Json]:  # noqa: A002 - as above
    errors: list[Json] = []
    try:
        found: Sequence[dict[str, Any]] = cast("Any", error).errors()
        errors.extend(_field(each) for each in found[:_MOST_ERRORS])
    except Exception:  # noqa: S110 - an error somebody raised by hand, with something else in it
        pass
    details: dict[str, Json] = {"errors": errors}
    if format == "service":
        return {"error": "VALIDATION_ERROR", "message": _FAILED, "details": details}
    return {
        "type": "about:blank",
        "title": phrase_of(422),
        "status": 422,
        "detail": _FAILED,
        "category": "validation",
        "details": details,
    }


def _field(error: dict[str, Any]) -> dict[str, Json]:
    """Return where, what and of which kind; not the input, which may be a password."""
    place = ".".join(str(part)[:_MOST_NAME] for part in error.get("loc", ()))
    return {
        "field": safe_text(place, _MOST_NAME),
        "message": safe_text(str(error.get("msg", ""))),
        "type": safe_text(str(error.get("type", "")), _MOST_NAME),
    }
