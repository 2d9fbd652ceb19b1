"""Read the failure from what an exception of any library carries: a status, a code, a SQLSTATE."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.category import ErrorCategory
from resilience.classify.aws_code import category_of_aws
from resilience.classify.grpc_status import GRPC_STATUS
from resilience.classify.http_status import category_of_status
from resilience.classify.look import Found, attribute, code, entry, number, text
from resilience.classify.sqlstate import category_of_sqlstate

__all__ = ["ASKED", "by_aws", "by_grpc", "by_sqlstate", "by_status", "by_structure", "status_of"]

ASKED = frozenset({"response", "status_code", "status", "code", "sqlstate", "pgcode"})
"""Every attribute these rules ask for."""


def by_structure(exc: BaseException) -> Found | None:
    """Return what the attributes of *exc* say, or None."""
    return by_status(exc) or by_grpc(exc) or by_aws(exc) or by_sqlstate(exc)


def by_status(exc: BaseException) -> Found | None:
    """Return what an HTTP status says: of the response, or of the exception itself."""
    found = _status_of(exc)
    return None if found is None else Found(category_of_status(found[0]), f"{found[1]}status {found[0]}")


def status_of(exc: BaseException) -> int | None:
    """Return the HTTP status of an exception that is about one: 400 to 599."""
    found = _status_of(exc)
    return None if found is None else found[0]


def _status_of(exc: BaseException) -> tuple[int, str] | None:
    response = attribute(exc, "response")
    asked = [] if response is None else [(response, "status_code", "response "), (response, "status", "response ")]
    for owner, name, where in (*asked, (exc, "status_code", ""), (exc, "status", ""), (exc, "code", "")):
        status = code(owner, name)
        # An exception about a response that went well (a wrong content type, say) is not about its status.
        if status is not None and 400 <= status <= 599:
            return status, where
    return None


def by_grpc(exc: BaseException) -> Found | None:
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
    return Found(GRPC_STATUS[name], f"gRPC status {name}")


def by_aws(exc: BaseException) -> Found | None:
    """Return what an answer of AWS says: its error code, else its HTTP status."""
    response = attribute(exc, "response")
    if not issubclass(type(response), Mapping):
        return None
    name = text(entry(entry(response, "Error"), "Code"))
    if name is not None and category_of_aws(name) is not ErrorCategory.UNKNOWN:
        return Found(category_of_aws(name), f"AWS error code {name}")
    status = number(entry(entry(response, "ResponseMetadata"), "HTTPStatusCode"))
    if status is None or not 400 <= status <= 599:
        return None
    return Found(category_of_status(status), f"response status {status}")


def by_sqlstate(exc: BaseException) -> Found | None:
    """Return what a database's SQLSTATE says."""
    for name in ("sqlstate", "pgcode"):
        state = text(attribute(exc, name))
        if state is not None and category_of_sqlstate(state) is not ErrorCategory.UNKNOWN:
            return Found(category_of_sqlstate(state), f"SQLSTATE {state}")
    return None
