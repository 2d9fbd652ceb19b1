"""anthropic: the type of the error in the answer beats its status."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import api_classes, inside_or, named, said_or
from resilience.classify.look import Found, attribute, entry, text
from resilience.classify.structure import by_status

_TYPES = {
    "invalid_request_error": C.VALIDATION,
    "request_too_large": C.VALIDATION,
    "authentication_error": C.AUTHENTICATION,
    "permission_error": C.AUTHORIZATION,
    "billing_error": C.CAPACITY,
    "not_found_error": C.NOT_FOUND,
    "rate_limit_error": C.RATE_LIMIT,
    "timeout_error": C.TIMEOUT,
    "api_error": C.SERVER_ERROR,
    "overloaded_error": C.UNAVAILABLE,
}


def _type_or_status(exc: BaseException) -> Found | None:
    # In the middle of a stream the error comes with the status of the response, 200. A status that is an error is
    # the finer word: 409, 412 and 413 are all of type invalid_request_error.
    by = by_status(exc)
    said = text(entry(entry(attribute(exc, "body"), "error"), "type"))
    if said in _TYPES and (by is None or _TYPES[said] is C.CAPACITY):
        return Found(_TYPES[said], f"error type {said}")
    return by


ROWS: Rows = {
    "AnthropicError": C.CONFIGURATION,  # the bare one: no API key, say
    "APIError": _type_or_status,
    **api_classes(_type_or_status),
    "ServiceUnavailableError": said_or(_type_or_status, C.UNAVAILABLE),
    "OverloadedError": said_or(_type_or_status, C.UNAVAILABLE),
    "GatewayTimeoutError": said_or(_type_or_status, C.TIMEOUT),
    "APIWebhookValidationError": C.AUTHENTICATION,
    # A 429 that no waiting cures: the money is used up.
    **named(C.CAPACITY, "ContractSpendLimitReachedError EnforcedSpendLimitReachedError StorageQuotaExceededError"),
    **named(C.CAPACITY, "PaymentRequiredError"),
    "OrganizationOnHoldError": C.AUTHORIZATION,
    **named(C.CONFIGURATION, "CMEKKeyDisabledError CMEKKeyNetworkBlockedError ClaudeCodeVersionTooOldError"),
    "RetryableError": inside_or(C.UNAVAILABLE),
    **named(C.AUTHENTICATION, "WorkloadIdentityError"),
    **named(C.CONFIGURATION, "CredentialsError IdentityTokenFileError MutuallyExclusiveAuthError"),
    **named(C.CONFIGURATION, "MissingDependencyError"),
    **named(C.INTERNAL, "MissingStreamClassError StreamAlreadyConsumed _NonObjectPayloadError ToolsetUsageError"),
    **named(C.RUNTIME, "ToolError FileStoreError SessionMemoryError"),  # a tool the model called failed
    "ToolsetConfigError": C.CONFIGURATION,
}
