"""Rules that read the category from what an exception of any library carries: a status, a code, a SQLSTATE.

They need no table of the library, and so hold for clients that the toolkit does not know, and for an application's own
exceptions. Each rule returns a `Match`, or None where the exception carries nothing of its kind; each of them is also
a row for a `ClientLibrary`. Attributes are read as `look` does, since a property of a foreign class may raise.

What is not a code is not read: no rule looks for words in a message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from resilience._safe_access import as_int, as_str, qualified_name, safe_call, safe_getattr, safe_item
from resilience.categories import ErrorCategory
from resilience.classification._model_errors import by_stainless
from resilience.classification.aws_code import category_of_aws
from resilience.classification.grpc_status import GRPC_STATUS
from resilience.classification.http_status import category_of_status
from resilience.classification.match import Match
from resilience.classification.sqlstate import category_of_sqlstate

__all__ = [
    "ASKED",
    "by_aws",
    "by_grpc",
    "by_sqlstate",
    "by_status",
    "by_structure",
    "category_of_result",
    "status_of",
    "status_of_result",
]

ASKED = frozenset({"response", "status_code", "status", "code", "sqlstate", "pgcode"})
"""Every attribute these rules ask for first; they look at others only where one of these is there."""

_ERRORS = frozenset(range(400, 600))
_SIGNS = ("headers", "hdrs", "response", "url", "uri", "request", "request_info", "http_response")


def by_structure(exc: BaseException) -> Match | None:
    """Return the answer of the first rule that has one, or None."""
    for rule in _RULES:
        found = rule(exc)
        if found is not None:
            return found
    return None


# -- HTTP --------------------------------------------------------------------------------------------------------------


def by_status(exc: BaseException) -> Match | None:
    """Return the category of an HTTP status: of the response, or of the exception itself.

    >>> class HTTPError(Exception):
    ...     status_code = 503
    >>> by_status(HTTPError()).why
    'status 503'
    """
    status, where = _status_of(exc)
    if status is None:
        return None
    return Match(category_of_status(status), f"{where}status {status}")


def status_of(exc: BaseException) -> int | None:
    """Return the HTTP status of an exception that is about one: 400 to 599."""
    return _status_of(exc)[0]


def status_of_result(result: object) -> int | None:
    """Return the HTTP status of what a call returned, where that is a response of an HTTP client with an error."""
    try:
        return _status_in(result, ("status_code", "status"))
    except Exception:  # a result that cannot be examined has none
        return None


def category_of_result(result: object) -> ErrorCategory:
    """Return the leaf for what a call returned: that of its HTTP status where it has one that is an error.

    CANCELLED (499) is answered as UNKNOWN: it is never retried, and a result is retried because the caller says so.
    """
    category = category_of_status(status_of_result(result) or 0)
    return ErrorCategory.UNKNOWN if category is ErrorCategory.CANCELLED else category


def _status_of(exc: BaseException) -> tuple[int | None, str]:
    """Return the status of an exception, and where it was found as `explain` words it.

    An exception about a response that went well (a wrong content type, say) is not about its status.
    """
    response = safe_getattr(exc, "response")
    answered = _error_status(response, "status_code") or _error_status(response, "status")
    if answered is not None:
        return answered, "response "
    return _status_in(exc, ("status_code", "status", "code")), ""


def _status_in(thing: object, names: tuple[str, ...]) -> int | None:
    for name in names:
        status = _error_status(thing, name)
        if status is not None and (name == "status_code" or _is_http(thing, name)):
            return status
    return None


def _error_status(thing: object, name: str) -> int | None:
    status = as_int(safe_getattr(thing, name))
    return status if status in _ERRORS else None


def _is_http(thing: object, name: str) -> bool:
    """Return whether the number in the attribute *name* is an HTTP status: SMTP, AMQP and databases have codes as well.

    It is one where it is written as `http.HTTPStatus`, or beside what belongs to a request or a response of HTTP, which
    may be None: a response that is not there yet, headers that were not given.
    """
    if qualified_name(type(safe_getattr(thing, name))) == ("http", "HTTPStatus"):
        return True
    return any(_carries(thing, sign) for sign in _SIGNS)


def _carries(thing: object, sign: str) -> bool:
    """Return whether *thing* has an attribute of HTTP. The reply of another protocol is a text or a pair."""
    try:
        value: object = getattr(thing, sign)
    except Exception:  # not there, or a property that fails
        return False
    return sign != "response" or not isinstance(value, str | bytes | tuple | list)


# -- other protocols ---------------------------------------------------------------------------------------------------


def by_grpc(exc: BaseException) -> Match | None:
    """Return the category of a gRPC status: `exc.code()` gives a member whose name is one.

    Other libraries have a method called `code` too, and it may want arguments; then there is no status.
    """
    ask = safe_getattr(exc, "code")
    name = as_str(safe_getattr(safe_call(ask), "name")) or ""
    if name not in GRPC_STATUS:
        return None
    return Match(GRPC_STATUS[name], f"gRPC status {name}")


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
    if status is None or status not in _ERRORS:
        return None
    return Match(category_of_status(status), f"response status {status}")


def by_sqlstate(exc: BaseException) -> Match | None:
    """Return the category of a database's SQLSTATE, in `sqlstate` (psycopg 3, asyncpg) or `pgcode` (psycopg2).

    >>> class Deadlock(Exception):
    ...     sqlstate = "40P01"
    >>> by_sqlstate(Deadlock()).why
    'SQLSTATE 40P01'
    """
    for name in ("sqlstate", "pgcode"):
        state = as_str(safe_getattr(exc, name))
        if state is not None and category_of_sqlstate(state) is not ErrorCategory.UNKNOWN:
            return Match(category_of_sqlstate(state), f"SQLSTATE {state}")
    return None


_RULES: tuple[Callable[[BaseException], Match | None], ...] = (by_status, by_grpc, by_aws, by_sqlstate, by_stainless)
