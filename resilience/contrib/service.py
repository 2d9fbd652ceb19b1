"""Errors of a distributed LLM service, under the names and HTTP statuses of that service.

    OctoLLMError                        the base; `error_code` is the identifier in the body of an answer
    ├── ValidationError                 400  the request is not valid
    │   ├── InvalidInputError           400
    │   ├── ValidationErrors            400  several of them at once
    │   ├── TaskNotFoundError           404
    │   ├── AuthenticationError         401
    │   └── AuthorizationError          403
    ├── ResourceError                   503  a resource is missing
    │   ├── ArmUnavailableError         503
    │   ├── CapacityExceededError       503
    │   └── RateLimitError              429
    ├── SystemError                     500  a part of the service has failed; not Python's SystemError
    │   ├── DatabaseError               500
    │   ├── CacheError                  500
    │   ├── NetworkError                500
    │   └── TimeoutError                500  also Python's TimeoutError
    └── ExternalError                   500  a third-party service has failed
        ├── LLMAPIError                 500
        ├── VectorDBError               500
        └── ThirdPartyAPIError          500

The numbers are those of `get_status_code`. `to_problem` has the statuses of the categories instead, such as 504 for a
timeout and 502 for a network error. Two of the names are also Python's, so import the module:

>>> from resilience.contrib import service
>>> service.TaskNotFoundError("t-7").to_dict()
{'error': 'TASK_NOT_FOUND', 'message': 'Task t-7 not found', 'details': {'task_id': 't-7'}}

An error has two identifiers for programs: `error_code`, the word in the body, which several classes may share, and
`code`, which is unique to its class.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from resilience.categories import ErrorCategory
from resilience.errors._families import ErrorFamily, register_family
from resilience.errors._user_messages import leaf_of
from resilience.errors._validation import safe_message
from resilience.errors.base import ResilienceError
from resilience.profiles import profile_for

__all__ = [
    "STATUS_BY_ERROR_CODE",
    "ArmUnavailableError",
    "AuthenticationError",
    "AuthorizationError",
    "CacheError",
    "CapacityExceededError",
    "DatabaseError",
    "ExternalError",
    "InvalidInputError",
    "LLMAPIError",
    "NetworkError",
    "OctoLLMError",
    "RateLimitError",
    "ResourceError",
    "SystemError",
    "TaskNotFoundError",
    "ThirdPartyAPIError",
    "TimeoutError",
    "ValidationError",
    "ValidationErrors",
    "VectorDBError",
    "get_status_code",
]

_C = ErrorCategory


class OctoLLMError(ResilienceError, code="OCTO-E000"):
    """The base class of the service's errors.

    >>> OctoLLMError("wait", "SLOW_DOWN", retry_after=0).to_dict()
    {'error': 'SLOW_DOWN', 'message': 'wait', 'details': {}, 'retry_after': 0}
    """

    _word: str = "UNKNOWN_ERROR"

    def __init__(
        self,
        message: str,
        error_code: str = "UNKNOWN_ERROR",
        details: Mapping[str, object] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, details=details or {}, retry_after=retry_after)
        self.message = message
        self.error_code: str = error_code
        if error_code == "UNKNOWN_ERROR":  # the default: the class may have a word of its own
            self.error_code = self._word


# -- the request ------------------------------------------------------------------------------------------------------


class ValidationError(OctoLLMError, code="OCTO-E001", category="validation"):
    """A request that is not valid; *field* names the part that is wrong.

    >>> ValidationError("must be positive", "budget").details
    {'field': 'budget'}
    """

    _word = "VALIDATION_ERROR"

    def __init__(
        self,
        message: str,
        field: str | None = None,
        *,
        error_code: str = "UNKNOWN_ERROR",
        details: Mapping[str, object] | None = None,
        retry_after: float | None = None,
    ) -> None:
        merged = ({} if field is None else {"field": field}) | dict(details or {})
        super().__init__(message, error_code, merged, retry_after)
        self.field = field


class InvalidInputError(ValidationError, code="OCTO-E002"):
    """An input that is not valid."""


class TaskNotFoundError(ValidationError, code="OCTO-E003", category="not_found"):
    """There is no task *task_id*."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"Task {task_id} not found", error_code="TASK_NOT_FOUND", details={"task_id": task_id})
        self.task_id = task_id


class AuthenticationError(ValidationError, code="OCTO-E004", category="authentication"):
    """The client has not proved its identity."""

    _word = "AUTHENTICATION_ERROR"


class AuthorizationError(ValidationError, code="OCTO-E005", category="authorization"):
    """The client is not allowed to do this."""

    _word = "AUTHORIZATION_ERROR"


class ValidationErrors(ValidationError, code="OCTO-E006"):
    """All errors of a request: *errors* are mappings with `field` and `message`, or validation errors.

    >>> several = ValidationErrors([{"field": "goal", "message": "is empty"}, ValidationError("is negative", "budget")])
    >>> str(several), several.errors[1]
    ('Validation failed with 2 errors', {'field': 'budget', 'message': 'is negative'})
    """

    def __init__(self, errors: Sequence[Mapping[str, object] | ValidationError]) -> None:
        self.errors: list[dict[str, object]] = [
            {"field": each.field, "message": str(each)} if isinstance(each, ValidationError) else dict(each)
            for each in errors
        ]
        message = f"Validation failed with {len(self.errors)} errors"
        super().__init__(message, error_code="VALIDATION_ERRORS", details={"errors": self.errors})


# -- resources --------------------------------------------------------------------------------------------------------


class ResourceError(OctoLLMError, code="OCTO-E010", category="unavailable"):
    """A resource that the request needs is not available at the moment."""


class ArmUnavailableError(ResourceError, code="OCTO-E011"):
    """No arm has all the *required_capabilities*."""

    def __init__(self, required_capabilities: Sequence[str]) -> None:
        self.required_capabilities: list[str] = list(required_capabilities)
        super().__init__(
            f"No arm available with capabilities: {', '.join(self.required_capabilities)}",
            "ARM_UNAVAILABLE",
            {"required_capabilities": self.required_capabilities},
        )


class CapacityExceededError(ResourceError, code="OCTO-E012", category="capacity"):
    """The capacity of the service is used up."""

    _word = "CAPACITY_EXCEEDED"


class RateLimitError(ResourceError, code="OCTO-E013", category="rate_limit"):
    """More than *limit* requests in *window* seconds; the next one is accepted in *retry_after* seconds.

    >>> str(RateLimitError(100, 60, 12))
    'Rate limit exceeded: 100 requests per 60s'
    """

    def __init__(self, limit: int, window: float, retry_after: float) -> None:
        super().__init__(
            f"Rate limit exceeded: {limit} requests per {window}s",
            "RATE_LIMIT_EXCEEDED",
            {"limit": limit, "window": window},
            retry_after,
        )
        self.limit = limit
        self.window = window


# -- the parts of the service -----------------------------------------------------------------------------------------


class SystemError(OctoLLMError, code="OCTO-E020", category="internal"):  # noqa: A001 - the family's name for it
    """A part of the service has failed."""


class DatabaseError(SystemError, code="OCTO-E021", category="dependency"):
    """The database has failed at *operation*.

    >>> DatabaseError("insert", ValueError("disk full")).details
    {'operation': 'insert', 'error': 'disk full'}
    """

    def __init__(self, operation: str, original_error: BaseException) -> None:
        self.operation = operation
        self.original_error = original_error
        said = safe_message(original_error)
        super().__init__(
            f"Database {operation} failed: {said}", "DATABASE_ERROR", {"operation": operation, "error": said}
        )


class CacheError(SystemError, code="OCTO-E022", category="dependency"):
    """The cache has failed."""

    _word = "CACHE_ERROR"


class NetworkError(SystemError, code="OCTO-E023", category="network"):
    """The network has failed."""

    _word = "NETWORK_ERROR"


class TimeoutError(SystemError, builtins.TimeoutError, code="OCTO-E024", category="timeout"):  # noqa: A001 - as above
    """*operation* was not over after *timeout* seconds.

    >>> str(TimeoutError("plan", 30))
    'plan timed out after 30s'
    """

    def __init__(self, operation: str, timeout: float) -> None:
        super().__init__(
            f"{operation} timed out after {timeout}s", "TIMEOUT_ERROR", {"operation": operation, "timeout": timeout}
        )
        self.operation = operation
        self.timeout = timeout


# -- third-party services ---------------------------------------------------------------------------------------------


class ExternalError(OctoLLMError, code="OCTO-E030", category="dependency"):
    """A third-party service has failed."""


class LLMAPIError(ExternalError, code="OCTO-E031"):
    """A provider of language models has failed. A status of a transient failure decides the category.

    >>> error = LLMAPIError("openai", 429, "slow down")
    >>> str(error), error.category.label
    ('openai API error: slow down', 'rate_limit')
    """

    def __init__(self, provider: str, status_code: int | None = None, error_message: str | None = None) -> None:
        super().__init__(
            f"{provider} API error: {error_message or 'Unknown error'}",
            "LLM_API_ERROR",
            {"provider": provider, "status_code": status_code, "error_message": error_message},
        )
        self.provider = provider
        self.status_code = status_code
        self.error_message = error_message
        transient = _transient_category(status_code)
        if transient is not None:
            self.category = transient


class VectorDBError(ExternalError, code="OCTO-E032"):
    """The vector database has failed."""

    _word = "VECTOR_DB_ERROR"


class ThirdPartyAPIError(ExternalError, code="OCTO-E033"):
    """Another API has failed."""

    _word = "THIRD_PARTY_API_ERROR"


# A 401 or a 404 of a provider is an error of this service, not of its clients: a failed dependency.
_TRANSIENT: Final = {408: _C.TIMEOUT, 504: _C.TIMEOUT, 429: _C.RATE_LIMIT} | dict.fromkeys(
    (425, 502, 503, *range(520, 528), 529), _C.UNAVAILABLE
)


def _transient_category(status: int | None) -> ErrorCategory | None:
    if status is None:
        return None
    if status not in _TRANSIENT and 500 <= status <= 599:
        return _C.SERVER_ERROR
    return _TRANSIENT.get(status)


# -- HTTP -------------------------------------------------------------------------------------------------------------

STATUS_BY_ERROR_CODE: Final[Mapping[str, int]] = MappingProxyType(
    {
        "PII_DETECTED": 400,
        "RATE_LIMIT_EXCEEDED": 429,
        "INVALID_INPUT": 400,
        "CACHE_ERROR": 500,
        "NETWORK_ERROR": 502,
        "SERIALIZATION_ERROR": 500,
        "INTERNAL_ERROR": 500,
    }
)
"""HTTP statuses of the words that the service's reflex layer uses, which is written in another language."""

# The most specific first: a task that is not found is a ValidationError too.
_STATUS: Final[tuple[tuple[type[OctoLLMError], int], ...]] = (
    (TaskNotFoundError, 404),
    (AuthenticationError, 401),
    (AuthorizationError, 403),
    (RateLimitError, 429),
    (ValidationError, 400),
    (ResourceError, 503),
    (SystemError, 500),
    (ExternalError, 500),
)


def get_status_code(error: BaseException) -> int:
    """Return the HTTP status this service answers with.

    By class for its own errors; by the word where the class has no status; by category for any other
    `ResilienceError`; 500 for all other exceptions.

    >>> get_status_code(TaskNotFoundError("t-7")), get_status_code(OctoLLMError("no", "PII_DETECTED"))
    (404, 400)
    """
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status
    if isinstance(error, OctoLLMError):
        return STATUS_BY_ERROR_CODE.get(error.error_code, 500)
    return profile_for(leaf_of(error.category)).http if isinstance(error, ResilienceError) else 500


register_family(
    ErrorFamily(
        OctoLLMError,
        words={
            "VALIDATION_ERROR": ValidationError,
            "VALIDATION_ERRORS": ValidationErrors,
            "TASK_NOT_FOUND": TaskNotFoundError,
            "AUTHENTICATION_ERROR": AuthenticationError,
            "AUTHORIZATION_ERROR": AuthorizationError,
            "ARM_UNAVAILABLE": ArmUnavailableError,
            "CAPACITY_EXCEEDED": CapacityExceededError,
            "RATE_LIMIT_EXCEEDED": RateLimitError,
            "DATABASE_ERROR": DatabaseError,
            "CACHE_ERROR": CacheError,
            "NETWORK_ERROR": NetworkError,
            "TIMEOUT_ERROR": TimeoutError,
            "LLM_API_ERROR": LLMAPIError,
            "VECTOR_DB_ERROR": VectorDBError,
            "THIRD_PARTY_API_ERROR": ThirdPartyAPIError,
        },
        status=get_status_code,
    )
)
