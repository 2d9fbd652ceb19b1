"""botocore, and so boto3 and aiobotocore: the error code in the response of AWS decides, else its HTTP status.

A `ClientError` is a response of the service; its subclasses are made at run time from the service's model, and the
code is in ``response["Error"]["Code"]``. Everything that botocore itself raises is a `BotoCoreError`. It retries by
itself, and `attempts` in the sending function counts that from 1.

The codes are in `resilience.classification.aws_code`; throttling comes with status 400 for many services, so the code
goes before the status. A refused connection, a connect timeout and a proxy that cannot be reached prove that nothing
was sent. An `EventStreamError` is an error event in a response that had begun with status 200.
"""

from resilience._safe_access import as_str, safe_getattr, safe_item
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_aws
from resilience.classification.aws_code import category_of_aws
from resilience.classification.frames import at_most, variable
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.match import Match
from resilience.classification.tables import classes, wrapped_or


def _event(exc: BaseException) -> Match:
    """Classify an error event in the middle of a stream; the status 400 that goes with it is botocore's own."""
    said = as_str(safe_item(safe_item(safe_getattr(exc, "response"), "Error"), "Code"))
    if said is None:
        return Match(C.SERVER_ERROR, "an error in the middle of an answer")
    category = category_of_aws(said)
    return Match(C.SERVER_ERROR if category is C.UNKNOWN else category, f"AWS event {said}")


LIBRARY = ClientLibrary(
    {
        "ClientError": by_aws,
        "EventStreamError": _event,
        # Most of what the library itself raises is about profiles, regions, endpoints and options.
        "BotoCoreError": C.CONFIGURATION,
        "HTTPClientError": wrapped_or(C.NETWORK),
        **classes(C.NETWORK, "ConnectionError EndpointConnectionError ProxyConnectionError SSLError"),
        **classes(C.NETWORK, "ConnectionClosedError ResponseStreamingError IncompleteReadError"),
        **classes(C.TIMEOUT, "ConnectTimeoutError ReadTimeoutError"),
        **classes(C.NETWORK, "ChecksumError FlexibleChecksumError AwsChunkedWrapperError"),
        **classes(C.AUTHENTICATION, "NoCredentialsError PartialCredentialsError CredentialRetrievalError"),
        **classes(C.AUTHENTICATION, "NoAuthTokenError SSOError TokenRetrievalError LoginError"),
        "RefreshWithMFAUnsupportedError": C.AUTHENTICATION,
        "LoginInsufficientPermissions": C.AUTHORIZATION,
        "MetadataRetrievalError": C.UNAVAILABLE,
        "CapacityNotAvailableError": C.CAPACITY,
        "EndpointDiscoveryRefreshFailed": C.UNAVAILABLE,
        **classes(C.VALIDATION, "ParamValidationError ValidationError MissingParametersError UnsupportedS3ArnError"),
        **classes(C.VALIDATION, "UnsupportedS3ControlArnError InvalidDNSNameError InvalidHostLabelError"),
        **classes(C.VALIDATION, "InvalidArnException UnsupportedOutpostResourceError InvalidExpressionError"),
        "InvalidRegionError": C.CONFIGURATION,
        **classes(C.INTERNAL, "OperationNotPageableError PaginationError UnknownClientMethodError"),
        **classes(C.INTERNAL, "UnseekableStreamError StubResponseError StubAssertionError UnStubbedResponseError"),
        "WaiterError": C.TIMEOUT,  # what was waited for did not come
        **classes(C.DEPENDENCY, "ParserError ResponseParserError"),
        **classes(C.INTERNAL, "InvalidShapeError InvalidShapeReferenceError NoShapeFoundError"),
        **classes(C.INTERNAL, "OperationNotFoundError UndefinedModelAttributeError"),
        "BadIMDSRequestError": C.UNAVAILABLE,
        "_RetriesExceededError": C.UNAVAILABLE,
        # The vendored requests and urllib3, which nothing but old code raises.
        **classes(C.UNKNOWN, "RequestException HTTPError PoolError RequestError"),
        **classes(C.NETWORK, "ProxyError ChunkedEncodingError ClosedPoolError ProtocolError MaxRetryError"),
        **classes(C.TIMEOUT, "Timeout ConnectTimeout ReadTimeout TimeoutError"),
        **classes(C.SERVER_ERROR, "RetryError ResponseError"),
        **classes(C.VALIDATION, "URLRequired MissingSchema InvalidSchema InvalidURL"),
        **classes(C.VALIDATION, "LocationValueError LocationParseError"),
        **classes(C.DEPENDENCY, "ContentDecodingError DecodeError ResponseNotChunked"),
        **classes(C.CAPACITY, "EmptyPoolError"),
        **classes(C.INTERNAL, "StreamConsumedError TimeoutStateError HostChangedError"),
        "TooManyRedirects": C.CONFIGURATION,
    },
    never_sent=classes(True, "EndpointConnectionError ConnectTimeoutError ProxyConnectionError"),
    prior_requests=PriorRequests(
        {"endpoint._send_request": variable("attempts", at_most(1))},
        callers="_api_call wrapper _make_api_call _make_request make_request",
    ),
)
