"""clickhouse_driver: the error code of ClickHouse decides, which is no HTTP status.

A `ServerException` carries the code in `code` (the names are in ClickHouse's `src/Common/ErrorCodes.cpp`). A code that
is not in the table is a DEPENDENCY failure: the server answered, and nothing shows that a second try would help. The
DB-API layer wraps the driver's errors in `OperationalError`; the wrapped one decides.

Codes 159 and 209 are timeouts, 202 and 252 ask for a pause (too many queries, too many parts), and all four may be
retried. A `NetworkError` covers refused and broken connections alike, so the class proves nothing about what was sent.
"""

from resilience._safe_access import int_attribute
from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import classes, wrapped_or

CODES = {
    **dict.fromkeys((192, 193, 194, 516), C.AUTHENTICATION),
    **dict.fromkeys((164, 195, 291, 497), C.AUTHORIZATION),  # 164: the profile may only read
    **dict.fromkeys((159, 209), C.TIMEOUT),
    **dict.fromkeys((95, 96, 198, 210), C.NETWORK),
    364: C.RATE_LIMIT,
    # Too many queries or parts at once, no replica or keeper at the moment, leadership lost.
    **dict.fromkeys(
        (202, 203, 225, 236, 242, 252, 254, 264, 278, 279, 285, 286, 289, 292, 369, 373, 384, 999), C.UNAVAILABLE
    ),
    **dict.fromkeys((173, 201, 241, 243), C.CAPACITY),  # memory, disk, a quota
    **dict.fromkeys((57, 82, 216, 253, 256), C.CONFLICT),
    **dict.fromkeys((6, 26, 27, 38, 41, 53, 69, 70, 72, 130, 131, 321, 349, 376), C.VALIDATION),
    **dict.fromkeys((16, 46, 47, 60, 62), C.INTERNAL),  # a query that is wrong for this schema
    **dict.fromkeys((81, 115, 197), C.CONFIGURATION),
    **dict.fromkeys((49, 1000, 1001), C.SERVER_ERROR),
    394: C.CANCELLED,
}


def _code(exc: BaseException) -> Match:
    found = int_attribute(exc, "code")
    return Match(CODES.get(found or 0, C.DEPENDENCY), f"ClickHouse code {found}")


LIBRARY = ClientLibrary(
    {
        "Error": C.UNKNOWN,
        "ServerException": _code,
        "NetworkError": C.NETWORK,
        "SocketTimeoutError": C.TIMEOUT,
        **classes(C.DEPENDENCY, "UnexpectedPacketFromServerError UnknownPacketFromServerError"),
        **classes(C.DEPENDENCY, "ChecksumDoesntMatchError"),
        **classes(C.VALIDATION, "TypeMismatchError TooLargeStringSize CannotParseUuidError CannotParseDomainError"),
        **classes(C.INTERNAL, "LogicalError PartiallyConsumedQueryError UnknownTypeError"),
        "UnknownCompressionMethod": C.CONFIGURATION,
        **classes(C.VALIDATION, "ColumnException ColumnTypeMismatchException StructPackException"),
        # The DB-API wraps the driver's errors in these two; the others are about the use of a cursor.
        "DatabaseError": wrapped_or(C.DEPENDENCY),
        "OperationalError": wrapped_or(C.DEPENDENCY),
        **classes(C.INTERNAL, "InterfaceError ProgrammingError InternalError"),
        "IntegrityError": C.CONFLICT,
        "DataError": C.VALIDATION,
        "NotSupportedError": C.CONFIGURATION,
        "Warning": C.UNKNOWN,
    }
)
