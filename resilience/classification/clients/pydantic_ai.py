"""pydantic-ai: errors of a model by their status or class; `ModelRetry` asks the model again, and is no failure.

A `ModelHTTPError` keeps `status_code`, `model_name` and `body`, and answers by the status. `ModelRetry` and
`UnexpectedModelBehavior` are GENERATION: the service has answered, and another answer may be better. `CallDeferred`
and `ApprovalRequired` pause a run until an approval or a result arrives, and are never retried.

`UsageLimitExceeded` is a limit of the program itself, so waiting changes nothing. A `FallbackExceptionGroup` holds one
exception for each model that was tried, and the group's members decide.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification._model_errors import in_a_stream
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import by_code, classes, response_or

# Codes of JSON-RPC 2.0, and that of a connection which was closed.
_JSON_RPC = {
    -32000: C.NETWORK,
    -32601: C.NOT_FOUND,
    -32602: C.VALIDATION,
    -32603: C.SERVER_ERROR,
}

LIBRARY = ClientLibrary(
    {
        # How a tool or a hook answers.
        **classes(C.GENERATION, "ModelRetry RetryModelRequest ToolRetryError ResponseRejected"),
        **classes(C.APPROVAL, "ApprovalRequired CallDeferred _ValidationDeferral"),
        **classes(C.CANCELLED, "SkipModelRequest SkipToolExecution SkipToolValidation RunCancelled DecisionHandOff"),
        **classes(C.RUNTIME, "ToolFailed ToolFailedError ExternalEventError"),
        # What the model, or the service that runs it, did.
        "AgentRunError": C.UNKNOWN,
        "ModelAPIError": response_or(by_status, in_a_stream),
        "ModelConnectionError": C.NETWORK,
        **classes(C.TIMEOUT, "ModelTimeoutError ModelRequestTimeout HookTimeoutError RunTimedOut"),
        "ModelRateLimitError": C.RATE_LIMIT,
        "ModelQuotaExceededError": C.CAPACITY,
        "ModelUnavailableError": C.UNAVAILABLE,
        "ModelServerError": C.SERVER_ERROR,
        "ModelRequestRejectedError": response_or(by_status, C.VALIDATION),
        **classes(C.AUTHENTICATION, "ModelAuthenticationError _CredentialsError"),
        "ModelNotFoundError": C.NOT_FOUND,
        **classes(C.GENERATION, "UnexpectedModelBehavior"),
        **classes(C.CAPACITY, "UsageLimitExceeded ConcurrencyLimitExceeded"),
        "SuspendedResponseExpired": C.CONFLICT,
        **classes(C.NETWORK, "RealtimeHandshakeError _HandshakeError _SessionGone"),
        "FallbackExceptionGroup": C.UNKNOWN,  # its members decide
        **classes(C.INTERNAL, "UserError"),
        "ConversationConflict": C.CONFLICT,
        "DownloadTooLargeError": C.VALIDATION,
        **classes(C.RUNTIME, "WorkspaceError"),
        "MCPError": response_or(by_code(_JSON_RPC, "JSON-RPC error", "code"), C.DEPENDENCY),
        "_CompatibleHTTPStatusError": by_status,
        **classes(C.NETWORK, "_CompatibleRequestError"),
        "_CompatibleDecodingError": C.DEPENDENCY,
    },
)
