"""Read the failure from what an exception of any library carries: a status, a code, a SQLSTATE."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.category import ErrorCategory
from resilience.classify.aws_code import category_of_aws
from resilience.classify.grpc_status import GRPC_STATUS
from resilience.classify.http_status import category_of_status
from resilience.classify.look import Match, attribute, code, entry, name_of, number, text
from resilience.classify.model_errors import by_stainless
from resilience.classify.sqlstate import category_of_sqlstate

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
"""Every attribute these rules ask for first; they look at others only where one of these says something."""

_SIGNS = ("headers", "hdrs", "response", "url", "uri", "request", "request_info", "http_response")


def by_structure(exc: BaseException) -> Match | None:
    """Return what the attributes of *exc* say, or None."""
    return by_status(exc) or by_grpc(exc) or by_aws(exc) or by_sqlstate(exc) or by_stainless(exc)


def by_status(exc: BaseException) -> Match | None:
    """Return what an HTTP status says: of the response, or of the exception itself."""
    found = _status_of(exc)
    return None if found is None else Match(category_of_status(found[0]), f"{found[1]}status {found[0]}")


def status_of(exc: BaseException) -> int | None:
    """Return the HTTP status of an exception that is about one: 400 to 599."""
    found = _status_of(exc)
    return None if found is None else found[0]


def status_of_result(result: object) -> int | None:
    """Return the HTTP status of what a call returned, where that is a response of an HTTP client with an error."""
    try:
        return _status_in(result, ("status_code", "status"))
    except Exception:  # what cannot be looked at has none
        return None


def category_of_result(result: object) -> ErrorCategory:
    """Return the leaf for what a call returned: that of its HTTP status where it has one that is an error."""
    status = status_of_result(result)
    category = ErrorCategory.UNKNOWN if status is None else category_of_status(status)
    # Cancelled is what is never retried. A result is retried because the caller says so.
    return ErrorCategory.UNKNOWN if category is ErrorCategory.CANCELLED else category


def _status_of(exc: BaseException) -> tuple[int, str] | None:
    response = attribute(exc, "response")
    for name in ("status_code", "status"):
        status = code(response, name)
        # An exception about a response that went well (a wrong content type, say) is not about its status.
        if status is not None and 400 <= status <= 599:
            return status, "response "
    own = _status_in(exc, ("status_code", "status", "code"))
    return None if own is None else (own, "")


def _status_in(thing: object, names: tuple[str, ...]) -> int | None:
    for name in names:
        status = code(thing, name)
        if status is not None and 400 <= status <= 599 and (name == "status_code" or _is_http(thing, name)):
            return status
    return None


def _is_http(thing: object, name: str) -> bool:
    """Return whether the number in the attribute *name* is an HTTP status: SMTP, AMQP and databases have codes as well.

    It is one where it is written as `http.HTTPStatus`, or beside what belongs to a request or a response of HTTP, which
    may be None: a response that is not there yet, headers that were not given.
    """
    if name_of(type(attribute(thing, name))) == ("http", "HTTPStatus"):
        return True
    return any(_carries(thing, sign) for sign in _SIGNS)


def _carries(thing: object, sign: str) -> bool:
    try:
        value: object = getattr(thing, sign)
    except Exception:  # not there, or a property that fails
        return False
    # The reply of another protocol is a text or a pair.
    return sign != "response" or not isinstance(value, str | bytes | tuple | list)


def by_grpc(exc: BaseException) -> Match | None:
    """Return what a gRPC status says: `exc.code()` gives a member whose name is one."""
    ask = attribute(exc, "code")
    if not callable(ask):
        return None
    try:
        status: object = ask()
    except Exception:  # some other library's method called code, which wants arguments
        return None
    name = text(attribute(status, "name"))
    if name is None or name not in GRPC_STATUS:
        return None
    return Match(GRPC_STATUS[name], f"gRPC status {name}")


def by_aws(exc: BaseException) -> Match | None:
    """Return what an answer of AWS says: its error code, else its HTTP status."""
    response = attribute(exc, "response")
    if not issubclass(type(response), Mapping):
        return None
    name = text(entry(entry(response, "Error"), "Code"))
    if name is not None and category_of_aws(name) is not ErrorCategory.UNKNOWN:
        return Match(category_of_aws(name), f"AWS error code {name}")
    status = number(entry(entry(response, "ResponseMetadata"), "HTTPStatusCode"))
    if status is None or not 400 <= status <= 599:
        return None
    return Match(category_of_status(status), f"response status {status}")


def by_sqlstate(exc: BaseException) -> Match | None:
    """Return what a database's SQLSTATE says."""
    for name in ("sqlstate", "pgcode"):
        state = text(attribute(exc, name))
        if state is not None and category_of_sqlstate(state) is not ErrorCategory.UNKNOWN:
            return Match(category_of_sqlstate(state), f"SQLSTATE {state}")
    return None
