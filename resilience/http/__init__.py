"""Errors over HTTP: out of a service as an answer, back in a client as the same error.

    status_code, headers, document      what is said about an exception
    install                             Starlette and FastAPI
    ProblemMiddleware                   any ASGI application
    WsgiProblemMiddleware               any WSGI application
    resilience.http.django              Django
    error_from_response                 an answer -> the error it is about
    raise_for_problem                   the same, raised

No framework and no client is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.rooms import open_rooms

if TYPE_CHECKING:
    from resilience.http.answer import Format, document, headers, status_code
    from resilience.http.asgi import ProblemMiddleware
    from resilience.http.returning import error_from_response, raise_for_problem
    from resilience.http.starlette import install
    from resilience.http.wsgi import WsgiProblemMiddleware

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

_ROOMS = {
    "Format": "answer",
    "ProblemMiddleware": "asgi",
    "WsgiProblemMiddleware": "wsgi",
    "document": "answer",
    "error_from_response": "returning",
    "headers": "answer",
    "install": "starlette",
    "raise_for_problem": "returning",
    "status_code": "answer",
}

open_rooms(__name__, _ROOMS)
