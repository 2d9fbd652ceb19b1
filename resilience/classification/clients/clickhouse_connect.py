"""clickhouse-connect: the server's error number decides, in `code`, else what the HTTP client raised.

The numbers are those of clickhouse-driver, the native client.

clickhouse-connect speaks HTTP over urllib3 and names its classes after PEP 249. A `DatabaseError` has the number of
ClickHouse's `ErrorCodes.cpp` in `code` where the response names one, and the HTTP status is not read. A
`StreamFailureError` comes in the middle of a result and is NETWORK without a number.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.clients._dbapi import dbapi_classes
from resilience.classification.clients.clickhouse_driver import CODES
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match
from resilience.classification.tables import by_code, classes, response_or, wrapped_category

_number = by_code(CODES, "ClickHouse error", "code")


def _read(exc: BaseException) -> Match | C | None:
    return _number(exc) or wrapped_category(exc, "__cause__")


LIBRARY = ClientLibrary(
    {
        **dbapi_classes(_read, operational=C.NETWORK, interface=C.INTERNAL),
        "DatabaseError": response_or(_read, C.DEPENDENCY),
        "ClickHouseError": C.UNKNOWN,
        "StreamFailureError": response_or(_read, C.NETWORK),
        "_IncompleteResponseError": C.NETWORK,
        "Full": C.CAPACITY,
        **classes(C.CANCELLED, "Empty StreamCompleteException"),
        **classes(C.CONFIGURATION, "UnsupportedBinaryTypeError _ZstdUnavailableError"),
        **classes(C.INTERNAL, "StreamClosedError Warning"),
        "_NoSuchTableError": C.NOT_FOUND,
    },
    sends_once=True,
)
