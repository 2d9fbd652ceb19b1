"""PyMongo: the server's error code decides, then its error labels, then the class.

An `OperationFailure` is an answer of the server, with the code in `code`; the numbers are MongoDB's and have nothing
to do with HTTP. The labels TransientTransactionError and RetryableWriteError say that nothing was done, or that the
same write may be sent again: the driver and the server agree on them, whatever the code is.

PyMongo repeats reads and writes once by itself where that is safe. Where the second attempt finds no server, PyMongo
raises the error of the first instead of a `ServerSelectionTimeoutError`. A `WaitQueueTimeoutError` may hide a first
attempt that was sent, so only the former class has a row in `never_sent`. It proves nothing inside `with_transaction`,
which repeats its callback, and the commit: the commit before may have been carried out.

The numbers are those of MongoDB's `error_codes.yml`. 11600 is a server that shuts down, 10107 and 13435 are an answer
of a server that is not the primary, and 112 is a write conflict: each of them is UNAVAILABLE.
"""

from resilience._safe_access import safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification.frames import is_below
from resilience.classification.library import CategoryRow, ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import by_code, classes, response_or

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
_LABELS = ("TransientTransactionError", "RetryableWriteError")
_by_code = by_code(_CODES, "MongoDB error code", "code")


def _by_label(exc: BaseException) -> Match | None:
    has_label = safe_getattr(exc, "has_error_label")
    if not callable(has_label):
        return None
    for label in _LABELS:
        if has_label(label) is True:
            return Match(C.UNAVAILABLE, f"MongoDB error label {label}")
    return None


def _answer_or(default: C) -> CategoryRow:
    return response_or(lambda exc: _by_code(exc) or _by_label(exc), default)


LIBRARY = ClientLibrary(
    {
        "PyMongoError": C.UNKNOWN,
        **classes(C.NETWORK, "ConnectionFailure AutoReconnect _OperationCancelled"),
        **classes(C.TIMEOUT, "NetworkTimeout WaitQueueTimeoutError ExecutionTimeout WTimeoutError"),
        # No server answered for as long as the client was ready to wait: the way to them is broken.
        "ServerSelectionTimeoutError": C.NETWORK,
        "NotPrimaryError": C.UNAVAILABLE,
        "_PoolClosedError": C.NETWORK,
        "OperationFailure": _answer_or(C.DEPENDENCY),
        "CursorNotFound": C.NOT_FOUND,
        "WriteError": _answer_or(C.VALIDATION),
        "WriteConcernError": _answer_or(C.UNAVAILABLE),
        "DuplicateKeyError": C.CONFLICT,
        "BulkWriteError": _answer_or(C.CONFLICT),
        "ClientBulkWriteException": _answer_or(C.CONFLICT),
        **classes(C.VALIDATION, "DocumentTooLarge InvalidName CollectionInvalid"),
        **classes(C.CONFIGURATION, "ConfigurationError InvalidURI EncryptionError EncryptedCollectionError"),
        "InvalidOperation": C.INTERNAL,
        "ProtocolError": C.NETWORK,
    },
    never_sent={"ServerSelectionTimeoutError": lambda exc: not is_below(exc, "pymongo", "with_transaction")},
    sends_once=True,
)
