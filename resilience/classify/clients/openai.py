"""openai: what the answer says beats its status."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import api_classes, bare, inside_or, named, said_or
from resilience.classify.look import Found
from resilience.classify.model_errors import in_a_stream, said_by_a_model
from resilience.classify.structure import by_status


def _status(exc: BaseException) -> Found | None:
    said = said_by_a_model(exc)
    if said is not None and said.category is C.CAPACITY:
        return said
    return by_status(exc)


_streamed = said_or(_status, in_a_stream)

ROWS: Rows = {
    "OpenAIError": bare(C.CONFIGURATION, "openai.OpenAIError"),  # no API key, say
    **api_classes(_status),
    # In the middle of a stream: the response had begun well, and the error has no status of its own. litellm's has.
    **dict.fromkeys(("APIError", "APIStatusError"), _streamed),
    "OAuthError": C.AUTHENTICATION,
    "SubjectTokenProviderError": inside_or(C.AUTHENTICATION),
    "_TransientTokenExchangeError": inside_or(C.UNAVAILABLE),
    "InvalidWebhookSignatureError": C.AUTHENTICATION,
    **named(C.GENERATION, "LengthFinishReasonError ContentFilterFinishReasonError"),
    **named(C.GENERATION, "AgentOutputParseError AgentTurnResultError"),
    **dict.fromkeys(("AgentFilePreparationError", "AgentFileStagingError"), inside_or(C.UNKNOWN, "__cause__")),
    "WebSocketConnectionClosedError": C.NETWORK,
    "ResponsesWebSocketError": C.DEPENDENCY,  # the server sent an error event
    **named(C.CAPACITY, "WebSocketQueueFullError ResponsesWebSocketBufferError"),
    # A tool the model called failed, or the model called none that can be run.
    **named(C.RUNTIME, "BrowserError ComputerUseError ToolRunnerError DecisionsToolRunnerError"),
    "BrowserCancelledError": C.CANCELLED,
    **named(C.CONFIGURATION, "MissingDependencyError APIRemovedInV1 MutuallyExclusiveAuthError"),
    **named(C.INTERNAL, "_AmbiguousModuleClientUsageError MissingStreamClassError StreamAlreadyConsumed"),
}
