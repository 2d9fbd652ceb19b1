"""cimpl, the compiled part of confluent-kafka: the code of the `KafkaError` decides, which is the first argument.

Codes below -1 are librdkafka's own, known by name; the others are the broker's. Where neither is known, the error says
of itself whether it may be tried again.

A `KafkaException` holds the `KafkaError` as its only argument, and the error has methods `code()`, `name()` and
`retriable()`, and a call of them that fails counts as no answer. librdkafka documents its local codes in `rdkafka.h`.
The end of a partition and a purged queue are control flow, and so CANCELLED.
"""

from resilience._safe_access import as_int, as_str, safe_call, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification.clients._kafka import KAFKA_ERRORS
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes, first_argument, lookup

_LOCAL: dict[str, C] = {
    **classes(C.NETWORK, "_TRANSPORT _ALL_BROKERS_DOWN _RESOLVE _DESTROY"),
    **classes(C.TIMEOUT, "_TIMED_OUT _MSG_TIMED_OUT _TIMED_OUT_QUEUE _MAX_POLL_EXCEEDED"),
    **classes(C.UNAVAILABLE, "_WAIT_COORD _WAIT_CACHE _NODE_UPDATE _LEADER_CHANGE _RETRY"),
    **classes(C.CAPACITY, "_QUEUE_FULL _CRIT_SYS_RESOURCE"),
    **classes(C.AUTHENTICATION, "_AUTHENTICATION"),
    **classes(C.CONFIGURATION, "_SSL _INVALID_ARG _UNSUPPORTED_FEATURE _NOT_CONFIGURED _UNKNOWN_PROTOCOL"),
    **classes(C.NOT_FOUND, "_UNKNOWN_TOPIC _UNKNOWN_PARTITION _UNKNOWN_GROUP _NO_OFFSET"),
    **classes(C.VALIDATION, "_BAD_MSG _KEY_SERIALIZATION _VALUE_SERIALIZATION _BAD_COMPRESSION"),
    **classes(C.VALIDATION, "_KEY_DESERIALIZATION _VALUE_DESERIALIZATION"),
    **classes(C.CANCELLED, "_PARTITION_EOF _INTR _PURGE_QUEUE _PURGE_INFLIGHT"),
    **classes(C.CONFLICT, "_FENCED _STATE _ASSIGNMENT_LOST _IN_PROGRESS _CONFLICT _INCONSISTENT"),
    **classes(C.SERVER_ERROR, "_FAIL _FATAL"),
}


def _code(exc: BaseException) -> Match | None:
    error = first_argument(exc)
    name = as_str(safe_call(safe_getattr(error, "name"))) or ""
    if name in _LOCAL:
        return Match(_LOCAL[name], f"Kafka error {name}")
    found = lookup(KAFKA_ERRORS, as_int(safe_call(safe_getattr(error, "code"))), "Kafka error")
    if found is None and safe_call(safe_getattr(error, "retriable")) is True:
        return Match(C.UNAVAILABLE, f"Kafka error {name} may be retried")
    return found


LIBRARY = ClientLibrary({"KafkaException": _code, "KafkaError": C.UNKNOWN})
