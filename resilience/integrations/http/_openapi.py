"""Schema of the answer to an invalid request, in place of FastAPI's own in an application's OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from resilience.integrations.http.problem_details import MEDIA_TYPES, Format

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["describe_refusals"]

_NAME = "InvalidRequest"
_REPLACED = "HTTPValidationError"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_PREFIX = "#/components/schemas/"


def describe_refusals(app: FastAPI, format: Format) -> None:  # noqa: A002 - the name of this parameter everywhere
    """Have the OpenAPI document of *app* show the body of *format* where it showed FastAPI's `HTTPValidationError`.

    The document is made by the application's own `openapi`, whatever that is by then, each time it is asked for.
    """
    make: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        content = {MEDIA_TYPES[format]: {"schema": {"$ref": _PREFIX + _NAME}}}
        refusals = [answer for answer in _refusals(document) if _is_fastapis(answer)]
        for answer in refusals:
            answer["content"] = content
        if refusals:
            schemas: dict[str, Any] = document["components"]["schemas"]
            schemas[_NAME] = _SCHEMAS[format]
            schemas.pop(_REPLACED, None)
            schemas.pop("ValidationError", None)
        return document

    setattr(app, "openapi", openapi)


def _refusals(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the answers with status 422 of all operations."""
    groups: list[dict[str, Any]] = [*document.get("paths", {}).values(), *document.get("webhooks", {}).values()]
    answers: list[dict[str, Any]] = [
        operation.get("responses", {}) for group in groups for method, operation in group.items() if method in _METHODS
    ]
    return [by_status["422"] for by_status in answers if "422" in by_status]


def _is_fastapis(answer: dict[str, Any]) -> bool:
    schema: dict[str, Any] = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return schema.get("$ref") == _PREFIX + _REPLACED


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXT = {"type": "string"}
_DETAILS = _object(errors={"type": "array", "items": _object(field=_TEXT, message=_TEXT, type=_TEXT)})
_SCHEMAS: dict[str, dict[str, Any]] = {
    "problem": {
        "title": _NAME,
        **_object(type=_TEXT, title=_TEXT, status={"type": "integer"}, detail=_TEXT, category=_TEXT, details=_DETAILS),
    },
    "service": {"title": _NAME, **_object(error=_TEXT, message=_TEXT, details=_DETAILS)},
}
