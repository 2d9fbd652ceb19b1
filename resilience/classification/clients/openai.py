"""openai: the response decides, by its status and, for a quota that is used up, by the code of its error.

`insufficient_quota` comes with status 429, like a rate limit, and is CAPACITY, since no waiting cures it. A response
that the model ended at its length limit or that a filter stopped is GENERATION: asking anew may give another one.
The client also sends a request once more when its token has expired; `response` in that function shows it.

The classes for each status are those of every client that Stainless makes (`_stainless`), below `OpenAIError`. An
`APIConnectionError` proves that nothing was sent where its cause proves it. A `LengthFinishReasonError` keeps the
unfinished response in `completion`.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.clients._stainless import API_CLASSES, CALLERS, NEVER_SENT, NO_RETRY_YET
from resilience.classification.clients._tokens import no_token
from resilience.classification.frames import at_most, not_yet_bound, only_objects, variable
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.tables import classes, only_itself, wrapped_or

LIBRARY = ClientLibrary(
    {
        "OpenAIError": only_itself(C.CONFIGURATION, "openai.OpenAIError"),  # no API key, say
        **API_CLASSES,
        "OAuthError": C.AUTHENTICATION,
        "SubjectTokenProviderError": no_token,
        "_TransientTokenExchangeError": wrapped_or(C.UNAVAILABLE),
        "InvalidWebhookSignatureError": C.AUTHENTICATION,
        **classes(C.GENERATION, "LengthFinishReasonError ContentFilterFinishReasonError"),
        **classes(C.GENERATION, "AgentOutputParseError AgentTurnResultError"),
        **classes(wrapped_or(C.UNKNOWN, "__cause__"), "AgentFilePreparationError AgentFileStagingError"),
        "WebSocketConnectionClosedError": C.NETWORK,
        "ResponsesWebSocketError": C.DEPENDENCY,  # the server sent an error event
        **classes(C.CAPACITY, "WebSocketQueueFullError ResponsesWebSocketBufferError"),
        # A tool the model called failed, or the model called none that can be run.
        **classes(C.RUNTIME, "BrowserError ComputerUseError ToolRunnerError DecisionsToolRunnerError"),
        "BrowserCancelledError": C.CANCELLED,
        **classes(C.CONFIGURATION, "MissingDependencyError APIRemovedInV1 MutuallyExclusiveAuthError"),
        **classes(C.INTERNAL, "_AmbiguousModuleClientUsageError MissingStreamClassError StreamAlreadyConsumed"),
    },
    never_sent=NEVER_SENT,
    prior_requests=PriorRequests(
        {
            "_base_client.request": variable("retries_taken", at_most(0)),
            "_base_client._request": NO_RETRY_YET,
            "lib._client_auth.sync_send_with_auth_retry": only_objects(not_yet_bound("response")),
            "lib._client_auth.async_send_with_auth_retry": only_objects(not_yet_bound("response")),
        },
        callers=CALLERS,
        one_request_in="resources",
    ),
)
