"""Installation into Starlette and FastAPI: exceptions of routes, dependencies and middlewares are answered."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from resilience._validation import require_bool
from resilience.categories import CategoryLike
from resilience.errors._json_safe import Json, safe_text
from resilience.errors.base import ResilienceError
from resilience.integrations.http._error_responder import ErrorResponder, encoded
from resilience.integrations.http._openapi import describe_refusals
from resilience.integrations.http.asgi import ProblemMiddleware
from resilience.integrations.http.problem_details import MEDIA_TYPES, Format, phrase_of

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

__all__ = ["install"]

_FAILED = "Request validation failed"
_MAX_ERRORS = 50
_MAX_NAME = 200


def install(
    app: Starlette,
    *,
    format: Format = "problem",  # noqa: A002 - the name of this parameter everywhere
    public: CategoryLike | None = None,
    validation: bool = True,
) -> None:
    """Answer the exceptions of *app*, a Starlette or FastAPI application. Call it once, before the application starts.

    A `ResilienceError` is answered as `document` describes. A request that FastAPI finds invalid is a 422 with
    `details.errors`, each with `field`, `message` and `type`, and the OpenAPI document says so; without *validation*
    both stay FastAPI's, for clients that read its body. Any other exception is answered with its category and nothing
    more, and logged with its path, once: wherever in the application it is raised, the server does not see it. An
    `HTTPException` is answered by the framework. Handlers of the application for more precise classes have precedence.

    >>> from fastapi import FastAPI
    >>> app = FastAPI()
    >>> install(app)
    """
    responder = ErrorResponder.of(format, public)
    require_bool("validation", validation)

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
    # for exceptions of those, and the outermost one for those that are added later.
    app.add_exception_handler(ResilienceError, answer)
    refused = _refused_by_fastapi(app)
    if refused is not None and validation:
        app.add_exception_handler(refused, refuse)
        describe_refusals(cast("FastAPI", app), format)
    app.add_middleware(ProblemMiddleware, format=format, public=public)
    _answer_outermost(app, format, public)


def _answer_outermost(app: Starlette, format: Format, public: CategoryLike | None) -> None:  # noqa: A002 - as above
    """Have a `ProblemMiddleware` be the outermost one when *app* starts, whatever has been added to it by then.

    A handler for `Exception` would not do: Starlette answers by it and raises the exception again, which the server
    logs a second time.
    """
    build = app.build_middleware_stack

    def build_middleware_stack() -> ASGIApp:
        app.add_middleware(ProblemMiddleware, format=format, public=public)
        return build()

    setattr(app, "build_middleware_stack", build_middleware_stack)


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
