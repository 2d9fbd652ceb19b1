"""Google: google-api-core by its status, google-auth by the cause, google-genai by the status of the response.

An error of google-api-core has a gRPC status in `grpc_status_code`, or the HTTP status of its class in `code`; both
mean the same. A `RetryError` keeps the last failure in `cause`. google-auth says of its errors in `retryable` whether
they may be tried again. Names that several of these packages have are rows for all of them.

google-api-core maps both HTTP and gRPC statuses to one hierarchy below `GoogleAPICallError`. Its `RetryError` means
that the client's own retry ran out of time. Failures of a function that a Gemini model called are RUNTIME. protobuf's
errors about encoding and parsing are VALIDATION: the same message fails again.
"""

from resilience._safe_access import as_str, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_self_description, by_status
from resilience.classification._model_errors import in_a_stream
from resilience.classification.grpc_status import GRPC_STATUS, category_of_grpc
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes, response_or, wrapped_category, wrapped_or


def _status(exc: BaseException) -> Match | None:
    name = as_str(safe_getattr(safe_getattr(exc, "grpc_status_code"), "name")) or ""
    category = category_of_grpc(name, as_str(safe_getattr(exc, "message")) or "")
    answered = by_status(exc)
    asks_to_slow_down = answered is not None and answered.category is C.RATE_LIMIT
    if name not in GRPC_STATUS or (asks_to_slow_down and name != "RESOURCE_EXHAUSTED"):
        return answered
    return Match(category, f"gRPC status {name}")


def _auth(exc: BaseException) -> Match | C | None:
    return by_self_description(exc) or wrapped_category(exc, "__cause__")


LIBRARY = ClientLibrary(
    {
        # google-api-core, and the errors of google-genai with the same names.
        **classes(C.UNKNOWN, "GoogleAPIError GeminiNextGenAPIClientError"),
        **classes(_status, "GoogleAPICallError Unknown"),
        "ClientError": response_or(_status, C.VALIDATION),
        "ServerError": response_or(_status, C.SERVER_ERROR),
        "RetryError": wrapped_or(C.TIMEOUT, "cause", "_cause", "__cause__"),
        "DataLoss": C.DEPENDENCY,
        "Redirection": C.DEPENDENCY,
        "ResumableTransferError": response_or(_status, C.NETWORK),
        **classes(C.INTERNAL, "UnseekableStreamError DuplicateCredentialArgs InvalidOperationException"),
        "UploadCancelledError": C.CANCELLED,
        **classes(C.INTERNAL, "AsyncRestUnsupportedParameterError FrozenInstanceError _OperationNotComplete"),
        # google-auth.
        "GoogleAuthError": _auth,
        "TransportError": response_or(_auth, C.NETWORK),
        "TimeoutError": C.TIMEOUT,
        "RefreshError": response_or(_auth, C.AUTHENTICATION),
        **classes(C.AUTHENTICATION, "DefaultCredentialsError UserAccessTokenError OAuthError"),
        "ResponseError": response_or(_auth, C.DEPENDENCY),
        **classes(C.CONFIGURATION, "ClientCertError MutualTLSChannelError EmptyUniverseError UniverseMismatchError"),
        **classes(C.CONFIGURATION, "_MemfdCreationError FeatureGatingError VersionError EphemeralTokenAPIKeyError"),
        # google-genai.
        "APIError": response_or(by_status, in_a_stream),
        "APIConnectionError": C.NETWORK,
        "APITimeoutError": C.TIMEOUT,
        "APIWebSocketError": C.NETWORK,
        **classes(C.DEPENDENCY, "APIResponseValidationError UnknownApiResponseError ResponseValidationError"),
        "GenAiError": response_or(by_status, in_a_stream),
        "NoResponseError": C.NETWORK,
        **classes(C.UNAVAILABLE, "TemporaryError ContinuationInterruptedError ContinuationTimeoutError"),
        **classes(C.UNKNOWN, "PermanentError"),
        **classes(C.RUNTIME, "FunctionInvocationError UnsupportedFunctionError UnknownFunctionCallArgumentError"),
        # protobuf.
        **classes(C.VALIDATION, "Error ParseError EncodeError DecodeError SerializeToJsonError"),
        **classes(C.VALIDATION, "TypeTransformationError DescriptorDatabaseConflictingDefinitionError"),
    },
)
