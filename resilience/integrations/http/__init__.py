"""Errors over HTTP: a service answers an exception with a document, and a client raises the same error from it.

    status_code, headers, document      the answer to an exception
    install                             Starlette and FastAPI
    ProblemMiddleware                   any ASGI application
    WsgiProblemMiddleware               any WSGI application
    resilience.integrations.http.django              Django
    error_from_response                 the error that an answer reports
    raise_for_problem                   raises it

No framework and no client is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy

if TYPE_CHECKING:
    from resilience.integrations.http.asgi import ProblemMiddleware
    from resilience.integrations.http.client import error_from_response, raise_for_problem
    from resilience.integrations.http.problem_details import Format, document, headers, status_code
    from resilience.integrations.http.starlette import install
    from resilience.integrations.http.wsgi import WsgiProblemMiddleware

__all__ = [
    "Format",
    "ProblemMiddleware",
    "WsgiProblemMiddleware",
    "document",
    "error_from_response",
    "headers",
    "install",
    "raise_for_problem",
    "status_code",
]

_LAZY = {
    "Format": "problem_details",
    "ProblemMiddleware": "asgi",
    "WsgiProblemMiddleware": "wsgi",
    "document": "problem_details",
    "error_from_response": "client",
    "headers": "problem_details",
    "install": "starlette",
    "raise_for_problem": "client",
    "status_code": "problem_details",
}

attach_lazy(__name__, _LAZY)
