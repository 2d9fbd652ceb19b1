"""aiokafka: the broker's error code decides, in `errno`; errors of the client say so in `retriable`.

`KafkaError` has a class attribute `retriable`, and all but a stopped consumer and an operation that is not allowed
derive from it. A numbered `BrokerResponseError` is one error code of Kafka's protocol, and its number is looked up in
`_kafka`. A `CommitFailedError` or a fenced producer is CONFLICT: another consumer or producer has taken over, and the
same call fails again.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_self_description
from resilience.classification.clients._kafka import KAFKA_ERRORS
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import by_code, classes, response_or

LIBRARY = ClientLibrary(
    {
        "KafkaError": by_self_description,
        "BrokerResponseError": response_or(by_code(KAFKA_ERRORS, "Kafka error", "errno"), C.DEPENDENCY),
        **classes(C.NETWORK, "KafkaConnectionError NoBrokersAvailable KafkaUnavailableError Cancelled"),
        "KafkaTimeoutError": C.TIMEOUT,
        **classes(C.UNAVAILABLE, "MetadataEmptyBrokerList NodeNotReadyError StaleMetadata TooManyInFlightRequests"),
        "AuthenticationFailedError": C.AUTHENTICATION,
        **classes(C.CONFLICT, "CommitFailedError ProducerFenced"),
        "NoOffsetForPartitionError": C.NOT_FOUND,
        **classes(C.VALIDATION, "IllegalArgumentError RecordTooLargeError"),
        **classes(C.INTERNAL, "IllegalStateError IllegalOperation ProducerClosed ConsumerStoppedError"),
        **classes(C.CONFIGURATION, "KafkaConfigurationError UnrecognizedBrokerVersion UnsupportedCodecError"),
        **classes(C.CONFIGURATION, "AuthenticationMethodNotSupported IncompatibleBrokerVersion"),
        "KafkaProtocolError": C.DEPENDENCY,
        "QuotaViolationError": C.RATE_LIMIT,
    },
)
