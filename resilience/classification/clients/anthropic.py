"""anthropic: the response decides, by its status and, for a budget that is used up, by the type of its error.

An overloaded server answers 529, or breaks off a stream that had begun with status 200; then the type in the event is
all there is. Failures of a tool that the model called are RUNTIME, as those of the program's own code are.

The classes for each status are those of every client that Stainless makes (`_stainless`), below `AnthropicError`. An
`APIConnectionError` proves that nothing was sent where its cause proves it. A bare `AnthropicError` comes from the
client itself, about a missing API key for example.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.clients._stainless import API_CLASSES, CALLERS, NEVER_SENT, NO_RETRY_YET, by_response
from resilience.classification.clients._tokens import no_token
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.tables import classes, only_itself, response_or, wrapped_or

LIBRARY = ClientLibrary(
    {
        "AnthropicError": only_itself(C.CONFIGURATION, "anthropic.AnthropicError"),  # no API key, say
        **API_CLASSES,
        "ServiceUnavailableError": response_or(by_response, C.UNAVAILABLE),
        "OverloadedError": response_or(by_response, C.UNAVAILABLE),
        "GatewayTimeoutError": response_or(by_response, C.TIMEOUT),
        "APIWebhookValidationError": C.AUTHENTICATION,
        # A 429 that no waiting cures: the money is used up.
        **classes(C.CAPACITY, "ContractSpendLimitReachedError EnforcedSpendLimitReachedError"),
        **classes(C.CAPACITY, "StorageQuotaExceededError PaymentRequiredError"),
        "OrganizationOnHoldError": C.AUTHORIZATION,
        **classes(C.CONFIGURATION, "CMEKKeyDisabledError CMEKKeyNetworkBlockedError ClaudeCodeVersionTooOldError"),
        "RetryableError": wrapped_or(C.UNAVAILABLE),
        "WorkloadIdentityError": no_token,
        **classes(C.CONFIGURATION, "CredentialsError IdentityTokenFileError MutuallyExclusiveAuthError"),
        **classes(C.CONFIGURATION, "MissingDependencyError"),
        **classes(C.INTERNAL, "MissingStreamClassError StreamAlreadyConsumed _NonObjectPayloadError"),
        **classes(C.INTERNAL, "ToolsetUsageError"),
        **classes(C.RUNTIME, "ToolError FileStoreError SessionMemoryError"),  # a tool the model called failed
        "ToolsetConfigError": C.CONFIGURATION,
        "UnsupportedMCPValueError": C.VALIDATION,
    },
    never_sent=NEVER_SENT,
    prior_requests=PriorRequests({"_base_client._request": NO_RETRY_YET}, callers=CALLERS, one_request_in="resources"),
)
