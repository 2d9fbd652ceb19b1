"""Installation into Starlette and FastAPI: exceptions of routes, dependencies and middlewares are answered."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from resilience.categories import CategoryLike
from resilience.errors._json_safe import Json, safe_text
from resilience.errors.base import ResilienceError
from resilience.integrations.http._error_responder import ErrorResponder, encoded
from resilience.integrations.http.asgi import ProblemMiddleware
from resilience.integrations.http.problem_details import MEDIA_TYPES, Format, phrase_of

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["install"]

_FAILED = "Request validation failed"
_MAX_ERRORS = 50
_MAX_NAME = 200


def install(
    app: Starlette,
    *,
    format: Format = "problem",  # noqa: A002 - the name of this parameter everywhere
    public: CategoryLike | None = None,
) -> None:
    """Answer the exceptions of *app*, a Starlette or FastAPI application. Call it once, before the application starts.

    A `ResilienceError` is answered as `document` describes. A request that FastAPI finds invalid is a 422 with
    `details.errors`, each with `field`, `message` and `type`. Any other exception is answered with its category and
    nothing more, and logged with its path. An `HTTPException` is answered by the framework. Handlers of the application
    for more precise classes have precedence.

    >>> from fastapi import FastAPI
    >>> app = FastAPI()
    >>> install(app)
    """
    responder = ErrorResponder.of(format, public)

    async def answer(request: Request, error: Exception) -> Response:
        if request.scope["type"] != "http":  # a websocket: answering nothing would leave it open
            raise error
        return _response(*responder.answer(error, request.method, request.scope.get("path")))

    async def refuse(request: Request, error: Exception) -> Response:
        if request.scope["type"] != "http":
            raise error
        content = encoded(_refusal(responder.format, error))
        return _response(422, {"Content-Type": MEDIA_TYPES[responder.format]}, content)

    # The handlers are for exceptions of routes, so that the application's middlewares see an answer; the middleware is
    # for exceptions of those. The last handler is for middlewares that are added later: Starlette answers, then raises.
    app.add_exception_handler(ResilienceError, answer)
    refused = _refused_by_fastapi(app)
    if refused is not None:
        app.add_exception_handler(refused, refuse)
    app.add_middleware(ProblemMiddleware, format=format, public=public)
    app.add_exception_handler(Exception, answer)


def _response(status: int, headers: dict[str, str], content: bytes) -> Response:
    """Return a response with exactly these headers."""
    from starlette.responses import Response

    return Response(content, status, headers)


def _refused_by_fastapi(app: object) -> type[Exception] | None:
    """Return FastAPI's exception for invalid requests; None for an application that is not FastAPI's.

    If it is one, FastAPI has been imported.
    """
    fastapi = sys.modules.get("fastapi")
    if fastapi is None or not isinstance(app, fastapi.FastAPI):
        return None
    from fastapi.exceptions import RequestValidationError

    return RequestValidationError


def _refusal(format: Format, error: Exception) -> dict[str, Json]:  # noqa: A002 - as above
    errors: list[Json] = []
    try:
        found: Sequence[dict[str, Any]] = cast("Any", error).errors()
        errors.extend(_field(each) for each in found[:_MAX_ERRORS])
    except Exception:  # noqa: S110 - raised by the application itself, with other contents
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
    """Return field, message and type of an error; not the input, which may be a password."""
    place = ".".join(str(part)[:_MAX_NAME] for part in error.get("loc", ()))
    return {
        "field": safe_text(place, _MAX_NAME),
        "message": safe_text(str(error.get("msg", ""))),
        "type": safe_text(str(error.get("type", "")), _MAX_NAME),
    }
