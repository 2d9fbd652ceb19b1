"""nats-py: the class decides, and for JetStream the status in the reply, which is `code` and no HTTP.

An error below `nats.errors.Error` carries only text, apart from JetStream's `APIError` with `code`, `err_code` and
`description`; nats-py turns the statuses 400, 404, 500 and 503 into subclasses. `NoRespondersError` is a subject
without a subscriber, which may come back with the service, and so UNAVAILABLE.

`OutboundBufferLimitError` and `SlowConsumerError` are full buffers of the client itself. A `TimeoutError` is a request
without a reply: a responder may have received the message. The client reconnects and resends pending data by itself,
so nothing here proves that a message was not sent.
"""

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
