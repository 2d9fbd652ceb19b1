"""anthropic: the type of the error in the answer beats its status."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import api_classes, bare, inside_or, named, said_or
from resilience.classify.look import Found
from resilience.classify.model_errors import in_a_stream, said_by_a_model
from resilience.classify.structure import by_status


def _type_or_status(exc: BaseException) -> Found | None:
    # A status that is an error is the finer word: 409, 412 and 413 are all of type invalid_request_error.
    said = said_by_a_model(exc)
    if said is not None and said.category is C.CAPACITY:
        return said
    return by_status(exc)


_streamed = said_or(_type_or_status, in_a_stream)

ROWS: Rows = {
    "AnthropicError": bare(C.CONFIGURATION, "anthropic.AnthropicError"),  # no API key, say
    **api_classes(_type_or_status),
    # In the middle of a stream: with the status of the response, 200.
    **dict.fromkeys(("APIError", "APIStatusError"), _streamed),
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
