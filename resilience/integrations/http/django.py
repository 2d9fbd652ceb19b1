"""Django middleware that answers the exceptions of views.

List `resilience.integrations.http.django.ProblemMiddleware` last in `MIDDLEWARE`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, cast

from resilience.integrations.http._error_responder import ErrorResponder

__all__ = ["ProblemMiddleware"]

# Django is untyped. These exceptions are answered by Django itself.
_LEFT_TO_DJANGO = (
    ("django.http", "Http404"),
    ("django.core.exceptions", "PermissionDenied"),
    ("django.core.exceptions", "SuspiciousOperation"),
    ("django.core.exceptions", "BadRequest"),
    ("django.http.multipartparser", "MultiPartParserError"),
)


class ProblemMiddleware:
    """Answer exceptions of a view with a document, and log them; in sync and in async stacks.

    Options are in the settings: ``RESILIENCE_HTTP = {"format": "service", "public": "client_error"}``, as for
    `document`. `Http404`, `PermissionDenied` and Django's other exceptions of this kind stay Django's. Exceptions of
    other middlewares are answered by Django before this one sees them.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        sync: Any = importlib.import_module("asgiref.sync")  # `inspect` knows its marks from 3.12 on
        conf: Any = importlib.import_module("django.conf")
        given: dict[str, Any] = getattr(conf.settings, "RESILIENCE_HTTP", {})
        unknown = sorted(set(given) - {"format", "public"})
        if unknown:
            raise ValueError(f"RESILIENCE_HTTP has {unknown[0]!r}: give 'format' and 'public'")
        self._responder = ErrorResponder.of(given.get("format", "problem"), given.get("public"))
        self._get_response = get_response
        if sync.iscoroutinefunction(get_response):  # then Django awaits the result of this middleware
            sync.markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Return the answer, or in an async stack an awaitable of it."""
        return self._get_response(request)

    def process_exception(self, request: Any, exception: Exception) -> Any:
        """Return the answer to the exception of a view, or None for one that Django answers."""
        if isinstance(exception, _left_to_django()):
            return None
        http: Any = importlib.import_module("django.http")
        status, headers, content = self._responder.answer(exception, request.method, request.path)
        return http.HttpResponse(content, status=status, headers=headers)


def _left_to_django() -> tuple[type[BaseException], ...]:
    """Return the exception classes that Django answers itself."""
    return tuple(
        cast("type[BaseException]", getattr(importlib.import_module(module), name)) for module, name in _LEFT_TO_DJANGO
    )
