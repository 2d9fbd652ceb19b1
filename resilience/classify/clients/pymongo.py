"""PyMongo: labels first, then the server's error code."""

from collections.abc import Callable

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named
from resilience.classify.look import Found, attribute, code

_CODES: dict[int, C] = {
    **dict.fromkeys((6, 7, 9001), C.NETWORK),
    **dict.fromkeys((50, 89, 202, 262), C.TIMEOUT),
    **dict.fromkeys((91, 134, 189, 10058, 10107, 11600, 11602, 13435, 13436), C.UNAVAILABLE),  # the primary moved
    **dict.fromkeys((24, 46, 112, 133), C.UNAVAILABLE),  # a lock or a write conflict: nothing was done
    **dict.fromkeys((11, 18, 334, 335, 391), C.AUTHENTICATION),
    **dict.fromkeys((13, 31), C.AUTHORIZATION),
    **dict.fromkeys((2, 4, 9, 14, 52, 66, 121, 10334, 17280), C.VALIDATION),
    **dict.fromkeys((26, 27, 43, 47), C.NOT_FOUND),
    **dict.fromkeys((48, 68, 85, 86, 251, 11000, 11001, 12582), C.CONFLICT),
    **dict.fromkeys((59, 72, 115, 20, 76), C.CONFIGURATION),
    **dict.fromkeys((146, 292, 14031), C.CAPACITY),
    11601: C.TIMEOUT,  # interrupted
    16500: C.RATE_LIMIT,  # request units used up, where the service is billed by them
}


def _code_or(default: C) -> Callable[[BaseException], Found | C]:
    def row(exc: BaseException) -> Found | C:
        number = code(exc, "code")
        if number in _CODES:
            return Found(_CODES[number], f"MongoDB error code {number}")
        for label in ("TransientTransactionError", "RetryableWriteError"):
            if _has(exc, label):
                return Found(C.UNAVAILABLE, f"MongoDB error label {label}")
        return default

    return row


def _has(exc: BaseException, label: str) -> bool:
    ask = attribute(exc, "has_error_label")
    return callable(ask) and ask(label) is True


ROWS: Rows = {
    "PyMongoError": C.UNKNOWN,
    **named(C.NETWORK, "ConnectionFailure AutoReconnect _OperationCancelled"),
    **named(C.TIMEOUT, "NetworkTimeout WaitQueueTimeoutError ExecutionTimeout WTimeoutError"),
    # No server answered for as long as we were ready to wait: what is broken is the way to them.
    "ServerSelectionTimeoutError": C.NETWORK,
    "NotPrimaryError": C.UNAVAILABLE,
    "_PoolClosedError": C.NETWORK,
    # Always an answer: a MongoDB code such as 451 is no HTTP status.
    "OperationFailure": _code_or(C.DEPENDENCY),
    "CursorNotFound": C.NOT_FOUND,
    "WriteError": _code_or(C.VALIDATION),
    "WriteConcernError": _code_or(C.UNAVAILABLE),
    "DuplicateKeyError": C.CONFLICT,
    "BulkWriteError": _code_or(C.CONFLICT),
    "ClientBulkWriteException": _code_or(C.CONFLICT),
    **named(C.VALIDATION, "DocumentTooLarge InvalidName CollectionInvalid"),
    **named(C.CONFIGURATION, "ConfigurationError InvalidURI EncryptionError EncryptedCollectionError"),
    "InvalidOperation": C.INTERNAL,
    "ProtocolError": C.NETWORK,
}
