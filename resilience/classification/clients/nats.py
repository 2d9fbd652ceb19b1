"""nats-py: the class decides, and for JetStream the status in the reply, which is `code` and no HTTP."""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(C.UNKNOWN, "Error NatsError ServiceError"),
        **classes(C.NETWORK, "ConnectionClosedError ConnectionDrainingError ConnectionReconnectingError"),
        **classes(C.NETWORK, "NoServersError StaleConnectionError ServerNotInPoolError"),
        **classes(C.TIMEOUT, "TimeoutError"),
        **classes(C.UNAVAILABLE, "NoRespondersError NoStreamResponseError ServiceUnavailableError"),
        **classes(C.CAPACITY, "OutboundBufferLimitError SlowConsumerError TooManyStalledMsgsError"),
        "AuthorizationError": C.AUTHORIZATION,
        "InvalidUserCredentialsError": C.AUTHENTICATION,
        "APIError": C.DEPENDENCY,
        "ServerError": C.SERVER_ERROR,
        **classes(C.NOT_FOUND, "NotFoundError NoKeysError"),
        **classes(C.CONFLICT, "ObjectAlreadyExists ConsumerSequenceMismatchError KeyWrongLastSequenceError"),
        **classes(C.CONFLICT, "MsgAlreadyAckdError BadBucketError LinkIsABucketError"),
        **classes(C.VALIDATION, "BadRequestError KeyValueError BadSubjectError BadHeaderError BadTimeoutError"),
        **classes(C.VALIDATION, "MaxPayloadError InvalidBucketNameError InvalidKeyError InvalidObjectNameError"),
        **classes(C.VALIDATION, "BadObjectMetaError NotJSMessageError"),
        **classes(C.DEPENDENCY, "ProtocolError JsonParseError DigestMismatchError"),
        **classes(C.CONFIGURATION, "SecureConnFailedError SecureConnRequiredError SecureConnWantedError"),
        **classes(C.CONFIGURATION, "KeyValueLimitMarkerTTLNotSupportedError"),
        **classes(C.INTERNAL, "BadSubscriptionError InvalidCallbackTypeError"),
    },
)
