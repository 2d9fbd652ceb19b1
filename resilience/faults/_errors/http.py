"""Exceptions of HTTP clients: for most leaves a response with the status that servers send for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from resilience.categories import ErrorCategory
from resilience.faults._errors.codes import HTTP
from resilience.faults._errors.source import MESSAGE, URL, chosen, module_of

__all__ = ["aiohttp", "httplib2", "httpx", "requests", "urllib3"]

_TIMEOUT, _NETWORK, _SERVER_ERROR = ErrorCategory.TIMEOUT, ErrorCategory.NETWORK, ErrorCategory.SERVER_ERROR


def httpx(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield exceptions of httpx, or of httpx2: an `HTTPStatusError` with its response, `ReadTimeout`, `ReadError`."""
    module = module_of(library)
    request = module.Request("GET", URL)

    def answered(status: int) -> Exception:
        response = module.Response(status, request=request, text=MESSAGE)
        error: Exception = module.HTTPStatusError(MESSAGE, request=request, response=response)
        return error

    own = {
        _TIMEOUT: lambda: module.ReadTimeout(MESSAGE, request=request),
        _NETWORK: lambda: module.ReadError(MESSAGE, request=request),
    }
    return chosen(leaf, own, HTTP, answered)


def requests(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield exceptions of requests: an `HTTPError` with its response, `ReadTimeout`, `ConnectionError`."""
    module = module_of(library)
    request = module.Request("GET", URL).prepare()

    def answered(status: int) -> Exception:
        response = module.Response()
        response.status_code, response.reason, response.url, response.request = status, MESSAGE, URL, request
        error: Exception = module.HTTPError(MESSAGE, request=request, response=response)
        return error

    own = {
        _TIMEOUT: lambda: module.ReadTimeout(MESSAGE, request=request),
        _NETWORK: lambda: module.ConnectionError(MESSAGE, request=request),
    }
    return chosen(leaf, own, HTTP, answered)


def aiohttp(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield exceptions of aiohttp: a `ClientResponseError`, `ServerTimeoutError`, `ServerDisconnectedError`."""
    module = module_of(library)

    def answered(status: int) -> Exception:
        url = module_of("yarl").URL(URL)
        headers = module_of("multidict").CIMultiDictProxy(module_of("multidict").CIMultiDict())
        request = module.RequestInfo(url, "GET", headers, url)
        error: Exception = module.ClientResponseError(request, (), status=status, message=MESSAGE, headers=headers)
        return error

    own = {
        _TIMEOUT: lambda: module.ServerTimeoutError(MESSAGE),
        _NETWORK: lambda: module.ServerDisconnectedError(MESSAGE),
    }
    return chosen(leaf, own, HTTP, answered)


def urllib3(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield exceptions of urllib3, which has none for a status: `ReadTimeoutError`, `ProtocolError`."""
    errors: Any = module_of(f"{library}.exceptions")
    own = {
        _TIMEOUT: lambda: errors.ReadTimeoutError(None, URL, MESSAGE),
        _NETWORK: lambda: errors.ProtocolError(MESSAGE, ConnectionResetError(MESSAGE)),
        _SERVER_ERROR: lambda: errors.MaxRetryError(None, URL, errors.ResponseError("too many 500 error responses")),
    }
    return chosen(leaf, own, {}, OSError)


def httplib2(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield exceptions of httplib2, whose connections fail by Python's own."""
    return chosen(leaf, {_NETWORK: lambda: module_of(library).ServerNotFoundError(MESSAGE)}, {}, OSError)
