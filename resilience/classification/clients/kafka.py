"""kafka-python: the broker's error code decides, in `errno`; errors of the client say so in `retriable`.

A class below `RetriableError` sets `retriable`, and the numbered `BrokerResponseError`s have the code of Kafka's
protocol in `errno` (`_kafka`). `InvalidMetadataError`s are retriable too: the leader of a partition has moved, and the
client has to read its metadata anew. A `CommitFailedError` is CONFLICT, since the partitions belong to another
consumer after a rebalance.
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
        "RetriableError": response_or(by_code(KAFKA_ERRORS, "Kafka error", "errno"), C.UNAVAILABLE),
        "KafkaConnectionError": C.NETWORK,
        "KafkaTimeoutError": C.TIMEOUT,
        "Cancelled": C.NETWORK,  # the connection went while the request waited
        "UnjoinedGroupException": C.CONFLICT,
        **classes(C.CONFLICT, "CommitFailedError LogTruncationError TransactionAbortedError"),
        "NoOffsetForPartitionError": C.NOT_FOUND,
        **classes(C.VALIDATION, "IllegalArgumentError RecordTooLargeError"),
        **classes(C.INTERNAL, "IllegalStateError UnknownBrokerIdError"),
        **classes(C.CONFIGURATION, "KafkaConfigurationError UnrecognizedBrokerVersion UnsupportedCodecError"),
        "KafkaProtocolError": C.DEPENDENCY,
        "QuotaViolationError": C.RATE_LIMIT,
    },
)
