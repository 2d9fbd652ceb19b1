"""Rules that read the category from what an exception of any library carries: a status, a code, a SQLSTATE.

They need no table of the library, and so hold for clients that the toolkit does not know, and for an application's own
exceptions. Each rule returns a `Match`, or None where the exception carries nothing of its kind; each of them is also
a row for a `ClientLibrary`. Attributes are read by `resilience._safe_access`, since a property of a foreign class may
raise.

What is not a code is not read: no rule looks for words in a message, but for gRPC's own about one that is too large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from resilience._safe_access import as_int, as_str, safe_call, safe_getattr, safe_item
from resilience.categories import ErrorCategory
from resilience.classification._model_errors import by_stainless, category_of_word
from resilience.classification._responses import (
    CONTAINERS,
    HAVE_HEADERS,
    STATUS_NAMES,
    codes_in_body,
    header,
    header_sets,
    is_error_status,
    status_in,
)
from resilience.classification._type_traits import attributes_of
from resilience.classification.aws_code import category_of_aws
from resilience.classification.grpc_status import GRPC_STATUS, category_of_grpc
from resilience.classification.http_status import category_of_status
from resilience.classification.match import Match
from resilience.classification.sqlstate import category_of_sqlstate, is_sqlstate, named_sqlstate

__all__ = [
    "ASKED",
    "by_aws",
    "by_grpc",
    "by_response",
    "by_self_description",
    "by_sqlstate",
    "by_status",
    "by_structure",
    "category_of_result",
    "status_of",
    "status_of_result",
]

_SQLSTATES = ("sqlstate", "pgcode")
_RETRIABLE = ("retryable", "retriable", "is_retryable", "is_retriable", "should_retry")

ASKED = frozenset({*CONTAINERS, *STATUS_NAMES, *_SQLSTATES, *_RETRIABLE})
"""Every attribute these rules ask for first; they look at others only where one of these is there."""

_LOOKED_AT = ASKED | {"body"}
_HTTP = frozenset({*CONTAINERS, *STATUS_NAMES})
_LOOKED_AT_FOR_HTTP = _HTTP | HAVE_HEADERS
_STATUS_OF_RESPONSE = ("status_code", "status")
_SAY_RETRIABLE = frozenset(_RETRIABLE)
_HEADERS_OF_AWS = ("x-amzn-errortype", "x-amzn-error-type")
_REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")


def by_structure(exc: BaseException) -> Match | None:
    """Return the answer of the first rule that has one, or None."""
    there = attributes_of(exc, _LOOKED_AT)
    for rule, names in _RULES:
        if not names.isdisjoint(there):
            found = rule(exc)
            if found is not None:
                return found
    args = exc.args
    if len(args) > 1 or (args and type(args[0]) is dict):
        return _by_arguments(exc)
    return None


# -- HTTP --------------------------------------------------------------------------------------------------------------


def by_status(exc: BaseException) -> Match | None:
    """Return the category of an HTTP status: of the response, or of the exception itself.

    Two responses say more than their status: one of AWS that names its error in a header, and a 403 by which the
    server asks to slow down, as GitHub and Google document.

    >>> class HTTPError(Exception):
    ...     status_code = 503
    >>> by_status(HTTPError()).why
    'status 503'
    """
    there = attributes_of(exc, _LOOKED_AT_FOR_HTTP)
    status, where = _status_of(exc, there)
    if status is None:
        return None
    return by_response(exc, status, header_sets(exc, there), where)


def by_response(exc: BaseException, status: int, sets: list[object], where: str = "") -> Match:
    """Return the category of a response with an error status, whose headers are in *sets*.

    *where* says for `explain` where the status was found.
    """
    named = f"{where}status {status}"
    found = _named_by_aws(sets)
    if found is None and status == 403:
        found = _asks_to_slow_down(exc, sets, named)
    return found or Match(category_of_status(status), named)


def status_of(exc: BaseException) -> int | None:
    """Return the HTTP status of an exception that is about one: 400 to 599."""
    return _status_of(exc, attributes_of(exc, _HTTP))[0]


def status_of_result(result: object) -> int | None:
    """Return the HTTP status of what a call returned, where that is a response of an HTTP client with an error."""
    try:
        return status_in(result, _STATUS_OF_RESPONSE)
    except Exception:  # a result that cannot be examined has none
        return None


def category_of_result(result: object) -> ErrorCategory:
    """Return the leaf for what a call returned: that of its HTTP status where it has one that is an error.

    CANCELLED (499) is answered as UNKNOWN: it is never retried, and a result is retried because the caller says so.
    """
    category = category_of_status(status_of_result(result) or 0)
    return ErrorCategory.UNKNOWN if category is ErrorCategory.CANCELLED else category


def _status_of(exc: BaseException, there: frozenset[str]) -> tuple[int | None, str]:
    """Return the status of an exception, and where it was found as `explain` words it.

    An exception about a response that went well (a wrong content type, say) is not about its status.
    """
    for name in CONTAINERS:
        if name in there:
            status = status_in(safe_getattr(exc, name), _STATUS_OF_RESPONSE, is_response=name == "response")
            if status is not None:
                return status, "response "
    return status_in(exc, [name for name in STATUS_NAMES if name in there]), ""


def _named_by_aws(sets: list[object]) -> Match | None:
    """Return the category of the error that a raw response of AWS names in a header, as ``Throttling:http://...``."""
    for headers in sets:
        for name in _HEADERS_OF_AWS:
            code = (header(headers, name) or "").partition(":")[0]
            if code and category_of_aws(code) is not ErrorCategory.UNKNOWN:
                return Match(category_of_aws(code), f"AWS error code {code}")
    return None


def _asks_to_slow_down(exc: BaseException, sets: list[object], named: str) -> Match | None:
    """Return RATE_LIMIT or CAPACITY for a 403 that forbids for now: by a header, or by a code in its body."""
    if any(header(headers, "retry-after") for headers in sets):
        return Match(ErrorCategory.RATE_LIMIT, f"{named} with Retry-After")
    if any((header(headers, name) or "").strip() == "0" for headers in sets for name in _REMAINING):
        return Match(ErrorCategory.RATE_LIMIT, f"{named}, and no requests remain")
    for word in codes_in_body(exc):
        category = category_of_word(word)
        if category in (ErrorCategory.RATE_LIMIT, ErrorCategory.CAPACITY):
            return Match(category, f"{named}, {word}")
    return None


# -- other protocols ---------------------------------------------------------------------------------------------------


def by_grpc(exc: BaseException) -> Match | None:
    """Return the category of a gRPC status: `exc.code()` gives a member whose name is one.

    Other libraries have a method called `code` too, and it may want arguments; then there is no status.
    """
    ask = safe_getattr(exc, "code")
    name = as_str(safe_getattr(safe_call(ask), "name")) or ""
    if name not in GRPC_STATUS:
        return None
    details = as_str(safe_call(safe_getattr(exc, "details"))) or ""
    return Match(category_of_grpc(name, details), f"gRPC status {name}")


def by_aws(exc: BaseException) -> Match | None:
    """Return the category of a response of AWS: of its error code, else of its HTTP status.

    botocore keeps the response as a mapping, with the code in ``["Error"]["Code"]`` and the status in
    ``["ResponseMetadata"]["HTTPStatusCode"]``.
    """
    response = safe_getattr(exc, "response")
    if not issubclass(type(response), Mapping):
        return None
    name = as_str(safe_item(safe_item(response, "Error"), "Code")) or ""
    category = category_of_aws(name)
    if category is not ErrorCategory.UNKNOWN:
        return Match(category, f"AWS error code {name}")
    status = as_int(safe_item(safe_item(response, "ResponseMetadata"), "HTTPStatusCode"))
    if status is None or not is_error_status(status):
        return None
    return Match(category_of_status(status), f"response status {status}")


def by_sqlstate(exc: BaseException) -> Match | None:
    """Return the category of a database's SQLSTATE, in `sqlstate` (psycopg 3, asyncpg) or `pgcode` (psycopg2).

    Drivers over ODBC give it as the first argument, and at the beginning of the diagnostics in the second one. pg8000
    and redshift_connector give the fields of the server's ErrorResponse as the first argument.

    >>> class Deadlock(Exception):
    ...     sqlstate = "40P01"
    >>> by_sqlstate(Deadlock()).why
    'SQLSTATE 40P01, deadlock detected'
    >>> by_sqlstate(Exception("08S01", "[08S01] [Microsoft][ODBC Driver 18 for SQL Server] ...")).why
    'SQLSTATE 08S01, connection exception'
    >>> by_sqlstate(Exception({"S": "ERROR", "C": "23505", "M": "..."})).why
    'SQLSTATE 23505, unique violation'
    """
    for name in _SQLSTATES:
        found = _by_state(as_str(safe_getattr(exc, name)) or "")
        if found is not None:
            return found
    return _by_arguments(exc)


def _by_state(code: str) -> Match | None:
    category = category_of_sqlstate(code)
    if category is ErrorCategory.UNKNOWN:
        return None
    return Match(category, named_sqlstate(code))


def _by_arguments(exc: BaseException) -> Match | None:
    args = safe_getattr(exc, "args")
    if type(args) is not tuple:
        return None
    first, *others = cast("tuple[object, ...]", args) or ("",)
    if type(first) is dict:
        return _by_fields(cast("object", first))
    state = as_str(first) or ""
    if not (others and is_sqlstate(state) and (as_str(others[0]) or "").startswith(f"[{state}]")):
        return None
    return _by_state(state)


def _by_fields(fields: object) -> Match | None:
    """Read an ErrorResponse of PostgreSQL's protocol as a mapping: C is its SQLSTATE, S and V are its severity."""
    code = as_str(safe_item(fields, "C")) or ""
    if not is_sqlstate(code) or as_str(safe_item(fields, "S")) is None:
        return None
    return _by_state(code)


# -- what an error says of itself --------------------------------------------------------------------------------------


def by_self_description(exc: BaseException) -> Match | None:
    """Return UNAVAILABLE for an error that says of itself that the same call may work in a moment.

    kafka-python says so in `retriable`, google-auth in `retryable`, neo4j by its method `is_retryable`. Only True
    counts: an error that says False, or nothing, tells nothing of its kind.

    >>> class Rebalancing(Exception):
    ...     retriable = True
    >>> by_self_description(Rebalancing()).category.label
    'unavailable'
    """
    there = attributes_of(exc, _SAY_RETRIABLE)
    for name in _RETRIABLE:
        if name in there and _says_yes(safe_getattr(exc, name)):
            return Match(ErrorCategory.UNAVAILABLE, f"it says {name}")
    return None


def _says_yes(value: object) -> bool:
    return value is True or safe_call(value) is True


_RULES: tuple[tuple[Callable[[BaseException], Match | None], frozenset[str]], ...] = (
    (by_status, _HTTP),
    (by_grpc, frozenset({"code"})),
    (by_aws, frozenset({"response"})),
    (by_sqlstate, frozenset(_SQLSTATES)),
    (by_stainless, frozenset({"body"})),
)
