"""Azure: azure-core and azure-identity by the status of the response, azure-servicebus by the class.

A `ServiceRequestError` came before the service had answered, a `ServiceResponseError` while it did; both keep the
failure of the HTTP client in `inner_exception`.

An `HttpResponseError` keeps `status_code` and `response`; its subclasses for a missing or existing resource answer by
the same status. azure-identity raises a `ClientAuthenticationError` from any failure while it gets a token, so without
a response its cause decides. azure-core retries in its pipeline before it raises, and no frame shows how often, so a
call through it never counts as not sent.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.clients._tokens import no_token
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, response_or, wrapped_or

LIBRARY = ClientLibrary(
    {
        "AzureError": C.UNKNOWN,
        "ServiceRequestError": wrapped_or(C.NETWORK, "inner_exception", "__cause__"),
        "ServiceResponseError": wrapped_or(C.NETWORK, "inner_exception", "__cause__"),
        **classes(C.TIMEOUT, "ServiceRequestTimeoutError ServiceResponseTimeoutError"),
        "HttpResponseError": response_or(by_status, C.DEPENDENCY),
        "ClientAuthenticationError": response_or(by_status, no_token),
        "CredentialUnavailableError": C.AUTHENTICATION,  # this credential cannot be used here, whatever its cause
        "ResourceNotModifiedError": C.CANCELLED,  # 304, no failure
        "TooManyRedirectsError": C.CONFIGURATION,
        "IncompleteReadError": C.NETWORK,
        **classes(C.INTERNAL, "StreamClosedError StreamConsumedError ResponseNotReadError _ResponseStopIteration"),
        **classes(C.VALIDATION, "SerializationError DeserializationError"),
        **classes(C.DEPENDENCY, "BadResponse BadStatus OperationFailed UnexpectedFrame"),
        # Service Bus, over AMQP 1.0.
        **classes(C.UNKNOWN, "ServiceBusError AMQPException"),
        **classes(C.NETWORK, "ServiceBusConnectionError ServiceBusCommunicationError AMQPConnectionError"),
        **classes(C.NETWORK, "AMQPLinkError AMQPSessionError"),
        "OperationTimeoutError": C.TIMEOUT,
        "ServiceBusServerBusyError": C.UNAVAILABLE,
        "ServiceBusQuotaExceededError": C.CAPACITY,
        **classes(no_token, "ServiceBusAuthenticationError AuthenticationException"),
        "ServiceBusAuthorizationError": C.AUTHORIZATION,
        **classes(C.NOT_FOUND, "MessageNotFoundError MessagingEntityNotFoundError"),
        **classes(C.CONFLICT, "MessageLockLostError SessionLockLostError SessionCannotBeLockedError"),
        **classes(C.CONFLICT, "MessageAlreadySettled MessagingEntityAlreadyExistsError AutoLockRenewFailed"),
        "AutoLockRenewTimeout": C.TIMEOUT,
        "MessagingEntityDisabledError": C.CONFIGURATION,
        **classes(C.VALIDATION, "MessageSizeExceededError"),
        **classes(C.DEPENDENCY, "AMQPDecodeError MessageException"),
    },
)
