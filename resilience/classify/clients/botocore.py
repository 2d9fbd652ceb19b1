"""botocore, and so boto3: what AWS answers, and what goes wrong before it is asked."""

from resilience.category import ErrorCategory as C
from resilience.classify.aws_code import category_of_aws
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import inside_or, named
from resilience.classify.look import Found, attribute, entry, text
from resilience.classify.structure import by_aws


def _streamed(exc: BaseException) -> Found:
    """An event in the middle of a stream; the status 400 that goes with it is botocore's own."""
    said = text(entry(entry(attribute(exc, "response"), "Error"), "Code"))
    category = category_of_aws(said or "")
    if category is C.UNKNOWN:
        category = C.SERVER_ERROR
    return Found(category, f"AWS event {said}" if said else "an error in the middle of an answer")


ROWS: Rows = {
    "ClientError": by_aws,
    "EventStreamError": _streamed,
    # Most of what the library itself raises is about profiles, regions, endpoints and options.
    "BotoCoreError": C.CONFIGURATION,
    "HTTPClientError": inside_or(C.NETWORK),
    **named(C.NETWORK, "ConnectionError EndpointConnectionError ProxyConnectionError SSLError"),
    **named(C.NETWORK, "ConnectionClosedError ResponseStreamingError IncompleteReadError"),
    **named(C.TIMEOUT, "ConnectTimeoutError ReadTimeoutError"),
    **named(C.NETWORK, "ChecksumError FlexibleChecksumError AwsChunkedWrapperError"),
    **named(C.AUTHENTICATION, "NoCredentialsError PartialCredentialsError CredentialRetrievalError NoAuthTokenError"),
    **named(C.AUTHENTICATION, "SSOError TokenRetrievalError LoginError RefreshWithMFAUnsupportedError"),
    "LoginInsufficientPermissions": C.AUTHORIZATION,
    "MetadataRetrievalError": C.UNAVAILABLE,
    "CapacityNotAvailableError": C.CAPACITY,
    "EndpointDiscoveryRefreshFailed": C.UNAVAILABLE,
    **named(C.VALIDATION, "ParamValidationError ValidationError MissingParametersError UnsupportedS3ArnError"),
    **named(C.VALIDATION, "UnsupportedS3ControlArnError InvalidDNSNameError InvalidHostLabelError"),
    **named(C.VALIDATION, "InvalidArnException UnsupportedOutpostResourceError InvalidExpressionError"),
    "InvalidRegionError": C.CONFIGURATION,
    **named(C.INTERNAL, "OperationNotPageableError PaginationError UnknownClientMethodError UnseekableStreamError"),
    **named(C.INTERNAL, "StubResponseError StubAssertionError UnStubbedResponseError"),
    "WaiterError": C.TIMEOUT,  # what was waited for did not come
    **named(C.DEPENDENCY, "ParserError ResponseParserError"),
    **named(C.INTERNAL, "InvalidShapeError InvalidShapeReferenceError NoShapeFoundError OperationNotFoundError"),
    "UndefinedModelAttributeError": C.INTERNAL,
    "BadIMDSRequestError": C.UNAVAILABLE,
    "_RetriesExceededError": C.UNAVAILABLE,
    # The vendored requests and urllib3, which nothing but old code raises.
    **named(C.UNKNOWN, "RequestException HTTPError PoolError RequestError"),
    **named(C.NETWORK, "ProxyError ChunkedEncodingError ClosedPoolError ProtocolError MaxRetryError"),
    **named(C.TIMEOUT, "Timeout ConnectTimeout ReadTimeout TimeoutError"),
    **named(C.SERVER_ERROR, "RetryError ResponseError"),
    **named(C.VALIDATION, "URLRequired MissingSchema InvalidSchema InvalidURL LocationValueError LocationParseError"),
    **named(C.DEPENDENCY, "ContentDecodingError DecodeError ResponseNotChunked"),
    **named(C.CAPACITY, "EmptyPoolError"),
    **named(C.INTERNAL, "StreamConsumedError TimeoutStateError HostChangedError"),
    "TooManyRedirects": C.CONFIGURATION,
}
