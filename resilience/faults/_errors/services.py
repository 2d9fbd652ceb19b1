"""Exceptions of clients of services: gRPC, AWS, Google, Azure, Elastic, Stripe, Slack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from resilience.categories import ErrorCategory
from resilience.faults._errors.codes import AWS, GRPC, HTTP
from resilience.faults._errors.source import MESSAGE, URL, chosen, module_of

__all__ = ["azure", "botocore", "elastic", "google", "grpc", "slack", "stripe"]

_C = ErrorCategory
_SLACK = {
    _C.RATE_LIMIT: "ratelimited",
    _C.UNAVAILABLE: "service_unavailable",
    _C.SERVER_ERROR: "internal_error",
    _C.TIMEOUT: "request_timeout",
    _C.AUTHENTICATION: "invalid_auth",
    _C.AUTHORIZATION: "missing_scope",
    _C.NOT_FOUND: "channel_not_found",
    _C.CONFLICT: "name_taken",
    _C.VALIDATION: "invalid_arguments",
    _C.CONFIGURATION: "unknown_method",
}


def grpc(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield an `AioRpcError`, which sync code catches as an `RpcError` as well, with the status of the leaf."""
    module = module_of(library)
    aio = module_of(f"{library}.aio")

    def answered(status: str) -> Exception:
        error: Exception = aio.AioRpcError(module.StatusCode[status], aio.Metadata(), aio.Metadata(), MESSAGE)
        return error

    return chosen(leaf, {}, GRPC, answered)


def botocore(leaf: ErrorCategory, _library: str) -> Iterator[Exception]:
    """Yield what boto3 and aiobotocore raise: `ReadTimeoutError`, `ConnectionClosedError`, or a `ClientError`."""
    errors = module_of("botocore.exceptions")

    def answered(code: str) -> Exception:
        metadata: dict[str, object] = {"HTTPStatusCode": HTTP[leaf], "HTTPHeaders": {}, "RetryAttempts": 0}
        answer: dict[str, object] = {"Error": {"Code": code, "Message": MESSAGE}, "ResponseMetadata": metadata}
        error: Exception = errors.ClientError(answer, "Injected")
        return error

    own = {
        _C.TIMEOUT: lambda: errors.ReadTimeoutError(endpoint_url=URL),
        _C.NETWORK: lambda: errors.ConnectionClosedError(endpoint_url=URL),
    }
    return chosen(leaf, own, AWS, answered)


def google(leaf: ErrorCategory, _library: str) -> Iterator[Exception]:
    """Yield the exception of google-api-core for the status of the leaf."""
    errors: Any = module_of("google.api_core.exceptions")
    own = {_C.TIMEOUT: lambda: errors.DeadlineExceeded(MESSAGE)}
    return chosen(leaf, own, HTTP, lambda status: errors.from_http_status(status, MESSAGE))


def azure(leaf: ErrorCategory, _library: str) -> Iterator[Exception]:
    """Yield the exception of azure-core: `ServiceResponseTimeoutError`, `ServiceResponseError`, or by the status."""
    errors: Any = module_of("azure.core.exceptions")

    def answered(status: int) -> Exception:
        error = errors.HttpResponseError(MESSAGE)
        error.status_code, error.reason = status, MESSAGE
        return cast("Exception", error)

    own = {
        _C.TIMEOUT: lambda: errors.ServiceResponseTimeoutError(MESSAGE),
        _C.NETWORK: lambda: errors.ServiceResponseError(MESSAGE),
    }
    return chosen(leaf, own, HTTP, answered)


def elastic(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield what a client of Elastic raises: `ConnectionTimeout`, `ConnectionError`, or an `ApiError`."""
    transport = module_of("elastic_transport")

    def answered(status: int) -> Exception:
        node = transport.NodeConfig("http", "injected.invalid", 80)
        meta = transport.ApiResponseMeta(status, "1.1", transport.HttpHeaders(), 0.0, node)
        error: Exception = getattr(module_of(library), "ApiError", transport.ApiError)(MESSAGE, meta, {})
        return error

    own = {
        _C.TIMEOUT: lambda: transport.ConnectionTimeout(MESSAGE),
        _C.NETWORK: lambda: transport.ConnectionError(MESSAGE),
    }
    return chosen(leaf, own, HTTP, answered)


def stripe(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield the exception of stripe: `APIConnectionError`, or an `APIError` with the status."""
    module = module_of(library)
    own = {
        _C.NETWORK: lambda: module.APIConnectionError(MESSAGE),
        _C.RATE_LIMIT: lambda: module.RateLimitError(MESSAGE, http_status=429),
    }
    return chosen(leaf, own, HTTP, lambda status: module.APIError(MESSAGE, http_status=status))


def slack(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield the exception of slack-sdk: `SlackRequestError`, or a `SlackApiError` with the code of the leaf."""
    errors: Any = module_of(f"{library}.errors")
    own = {_C.NETWORK: lambda: errors.SlackRequestError(MESSAGE)}
    return chosen(leaf, own, _SLACK, lambda code: errors.SlackApiError(MESSAGE, {"ok": False, "error": code}))
