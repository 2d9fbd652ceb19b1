"""Django middleware that answers what views raise.

List `resilience.integrations.http.django.ProblemMiddleware` last in `MIDDLEWARE`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, cast

from resilience.integrations.http._error_responder import Speaker

__all__ = ["ProblemMiddleware"]

# Django is untyped. Its own ways to say no are answered as it does.
_LEFT_TO_DJANGO = (
    ("django.http", "Http404"),
    ("django.core.exceptions", "PermissionDenied"),
    ("django.core.exceptions", "SuspiciousOperation"),
    ("django.core.exceptions", "BadRequest"),
    ("django.http.multipartparser", "MultiPartParserError"),
)


class ProblemMiddleware:
    """Answer what a view raises with a document, and log it; in sync and in async stacks.

    ``RESILIENCE_HTTP = {"format": "service", "public": "client_error"}`` in the settings is handed to `document`.
    `Http404`, `PermissionDenied` and Django's other own answers stay Django's. What other middlewares raise, Django
    answers before this one could.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        sync: Any = importlib.import_module("asgiref.sync")  # whose marks Python's own `inspect` knows from 3.12 on
        conf: Any = importlib.import_module("django.conf")
        given: dict[str, Any] = getattr(conf.settings, "RESILIENCE_HTTP", {})
        unknown = sorted(set(given) - {"format", "public"})
        if unknown:
            raise ValueError(f"RESILIENCE_HTTP has {unknown[0]!r}: give 'format' and 'public'")
        self._speaker = Speaker.of(given.get("format", "problem"), given.get("public"))
        self._get_response = get_response
        if sync.iscoroutinefunction(get_response):  # then Django awaits what it gets of us
            sync.markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Return the answer, or in an async stack what gives it when it is awaited."""
        return self._get_response(request)

    def process_exception(self, request: Any, exception: Exception) -> Any:
        """Return the answer to what a view has raised, or None for what is Django's to answer."""
        if isinstance(exception, _left_to_django()):
            return None
        http: Any = importlib.import_module("django.http")
        status, headers, content = self._speaker.answer(exception, request.method, request.path)
        return http.HttpResponse(content, status=status, headers=headers)


def _left_to_django() -> tuple[type[BaseException], ...]:
    return tuple(
        cast("type[BaseException]", getattr(importlib.import_module(module), name)) for module, name in _LEFT_TO_DJANGO
    )
