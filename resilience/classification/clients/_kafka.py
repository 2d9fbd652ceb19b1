"""Categories of the error codes of Kafka's protocol, for kafka-python, aiokafka and confluent-kafka.

The protocol's documentation lists them, and which of them may be tried again; those are UNAVAILABLE here where no other
category fits. A code that is not listed is about the administration of a cluster.
"""

from resilience.categories import ErrorCategory as C

__all__ = ["KAFKA_ERRORS"]

KAFKA_ERRORS: dict[int, C] = {
    -1: C.SERVER_ERROR,
    **dict.fromkeys((2, 3, 5, 6, 8, 9, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78), C.UNAVAILABLE),
    **dict.fromkeys((79, 80, 83, 84, 88, 100, 106, 110), C.UNAVAILABLE),
    7: C.TIMEOUT,
    13: C.NETWORK,
    89: C.RATE_LIMIT,
    **dict.fromkeys((58, 62, 66, 93), C.AUTHENTICATION),
    **dict.fromkeys((29, 30, 31, 53, 61, 63, 64, 65), C.AUTHORIZATION),
    **dict.fromkeys((57, 69, 85, 91), C.NOT_FOUND),
    **dict.fromkeys((11, 22, 25, 27, 36, 45, 46, 47, 48, 49, 52, 59, 60, 68, 77, 82, 86, 90, 92, 94), C.CONFLICT),
    **dict.fromkeys((1, 4, 10, 12, 17, 18, 21, 24, 28, 32, 37, 38, 39, 40, 42, 44, 67, 87), C.VALIDATION),
    **dict.fromkeys((23, 26, 33, 35, 43, 50, 54, 73, 76), C.CONFIGURATION),
    **dict.fromkeys((34,), C.INTERNAL),
    81: C.CAPACITY,
}
