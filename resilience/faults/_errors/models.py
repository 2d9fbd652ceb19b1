"""Exceptions of the clients that Stainless has made: openai, anthropic, groq and others have the same classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from resilience.categories import ErrorCategory
from resilience.faults._errors.codes import HTTP
from resilience.faults._errors.source import MESSAGE, URL, chosen, module_of

__all__ = ["stainless"]

_CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
    501: "InternalServerError",
    503: "InternalServerError",
    504: "InternalServerError",
    507: "InternalServerError",
}
"""The class that the client raises for a status."""
_TRANSPORTS = frozenset({"httpx", "httpx2"})


def stainless(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield exceptions of a client: the class of the status, `APITimeoutError`, `APIConnectionError`.

    The client stands on httpx or, in later versions, on httpx2: the request is of the one it has imported.
    """
    module = module_of(library)
    transport = module_of(_transport_of(module))
    request = transport.Request("POST", URL)

    def answered(status: int) -> Exception:
        response = transport.Response(status, request=request, json={"error": {"message": MESSAGE}})
        kind = getattr(module, _CLASSES.get(status, "APIStatusError"))
        error: Exception = kind(MESSAGE, response=response, body=None)
        return error

    own = {
        ErrorCategory.TIMEOUT: lambda: module.APITimeoutError(request=request),
        ErrorCategory.NETWORK: lambda: module.APIConnectionError(message=MESSAGE, request=request),
    }
    return chosen(leaf, own, HTTP, answered)


def _transport_of(module: Any) -> str:
    """Return the name of the HTTP library that a client stands on: that of the base of its own HTTP client."""
    bases = (base.__module__.partition(".")[0] for base in module.DefaultHttpxClient.__mro__)
    return next((name for name in bases if name in _TRANSPORTS), "httpx")
