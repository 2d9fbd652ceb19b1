"""openai: what the answer says beats its status."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import api_classes, inside_or, named
from resilience.classify.look import Found, attribute, text
from resilience.classify.structure import by_status

_CODES = {
    # A 429 that no waiting cures: the money is used up. CAPACITY is not retried, RATE_LIMIT would be.
    **named(C.CAPACITY, "insufficient_quota billing_hard_limit_reached billing_not_active"),
    **named(C.RATE_LIMIT, "rate_limit_exceeded rate_limit_error tokens requests"),
    **named(C.SERVER_ERROR, "server_error"),
    **named(C.UNAVAILABLE, "server_overloaded engine_overloaded"),
    **named(C.VALIDATION, "context_length_exceeded invalid_request_error"),
    **named(C.AUTHENTICATION, "invalid_api_key"),
    **named(C.NOT_FOUND, "model_not_found"),
}


def _quota(exc: BaseException) -> Found | None:
    said = text(attribute(exc, "code"))
    return Found(C.CAPACITY, f"error code {said}") if said and _CODES.get(said) is C.CAPACITY else None


def _status(exc: BaseException) -> Found | None:
    return _quota(exc) or by_status(exc)


def _streamed(exc: BaseException) -> Found | None:
    """An error in the middle of a stream has no status of its own: the response had begun well."""
    for name in ("code", "type"):
        said = text(attribute(exc, name))
        if said in _CODES:
            return Found(_CODES[said], f"error {name} {said}")
    return None


ROWS: Rows = {
    "OpenAIError": C.CONFIGURATION,  # the bare one: no API key, say
    "APIError": _streamed,
    **api_classes(_status),
    "OAuthError": C.AUTHENTICATION,
    "SubjectTokenProviderError": inside_or(C.AUTHENTICATION),
    "_TransientTokenExchangeError": inside_or(C.UNAVAILABLE),
    "InvalidWebhookSignatureError": C.AUTHENTICATION,
    **named(C.GENERATION, "LengthFinishReasonError ContentFilterFinishReasonError"),
    **named(C.GENERATION, "AgentOutputParseError AgentTurnResultError"),
    "WebSocketConnectionClosedError": C.NETWORK,
    "ResponsesWebSocketError": C.DEPENDENCY,  # the server sent an error event
    **named(C.CAPACITY, "WebSocketQueueFullError ResponsesWebSocketBufferError"),
    # A tool the model called failed, or the model called none that can be run.
    **named(C.RUNTIME, "BrowserError ComputerUseError ToolRunnerError DecisionsToolRunnerError"),
    "BrowserCancelledError": C.CANCELLED,
    **named(C.CONFIGURATION, "MissingDependencyError APIRemovedInV1 MutuallyExclusiveAuthError"),
    **named(C.INTERNAL, "_AmbiguousModuleClientUsageError MissingStreamClassError StreamAlreadyConsumed"),
}
