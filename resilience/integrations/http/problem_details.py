"""What is said about an exception over HTTP: status, headers, document. Nothing it does makes these raise."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Final, Literal, get_args

from resilience._safe_access import safe_getattr
from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.classification import retry_after
from resilience.classification.classifier import explain
from resilience.errors._families import family_of
from resilience.errors._json_safe import Json
from resilience.errors._user_messages import USER_MESSAGES, leaf_of
from resilience.errors.base import ResilienceError
from resilience.errors.codes import parse_code
from resilience.profiles import profile_for

__all__ = [
    "CATEGORY_HEADER",
    "CODE_HEADER",
    "MEDIA_TYPES",
    "Format",
    "a_format",
    "category_told",
    "document",
    "headers",
    "is_ours",
    "phrase_of",
    "shown_for",
    "status_code",
]

Format = Literal["problem", "service"]
"""``problem``: RFC 9457, ``application/problem+json``. ``service``: `error`, `message`, `details`, `retry_after`."""

MEDIA_TYPES: Final[dict[str, str]] = {"problem": "application/problem+json", "service": "application/json"}
# The body of the service format has no room for them.
CATEGORY_HEADER: Final = "X-Error-Category"
CODE_HEADER: Final = "X-Error-Code"

_C = ErrorCategory
_LONGEST: Final = 2**31 - 1  # what RFC 9111 (1.2.2) has a recipient make of a number that is too large for it
_INTERNAL: Final = "An internal error occurred"


def status_code(exc: BaseException) -> int:
    """Return the HTTP status to answer *exc* with: 400 to 599. Never raises.

    For an error of a family with statuses of its own, such as `resilience.contrib.service`, that one; for every other
    `ResilienceError`, and for an exception whose category was declared or registered, the one of the category's row in
    the profile table.

    Any other exception is classified, and never blames who has asked: what a library, or another service, calls a bad
    request or not found is this service's failure, 500; that it lets us do no more for now is 503.

    >>> from resilience.contrib import service
    >>> status_code(service.TaskNotFoundError("t-7")), status_code(ResilienceError("no", category="conflict"))
    (404, 409)
    >>> status_code(TimeoutError()), status_code(FileNotFoundError("/etc/shop.toml"))
    (504, 500)
    """
    try:
        found = _status(exc)
    except Exception:  # an exception that cannot be looked at
        return 500
    # A profile's row may say anything; a 204 or a 304 has no body, and a server that is handed one breaks off.
    return found if 400 <= found <= 599 else 500


def headers(exc: BaseException) -> dict[str, str]:
    """Return the headers that belong to *exc*: `Retry-After`, in whole seconds, where there is a wait. Never raises.

    Rounded up, since who comes too early is refused again. 0 means now and is told; without an end there is none.

    >>> headers(ResilienceError("full", retry_after=0.3)), headers(KeyError("lamp"))
    ({'Retry-After': '1'}, {})
    """
    wait = _wait(exc)
    return {} if wait is None else {"Retry-After": str(min(math.ceil(wait), _LONGEST))}


def document(
    exc: BaseException,
    *,
    format: Format = "problem",  # noqa: A002 - what it is called everywhere
    instance: str | None = None,
    public: CategoryLike | None = None,
) -> tuple[int, dict[str, str], dict[str, Json]]:
    """Return what to answer *exc* with: status, headers, and a body that JSON takes. Raises for a wrong *format* only.

    A problem tells the user message of the error. *public* are categories whose messages and details are meant for
    whoever asked, such as ``"client_error"``. The service format tells message and details of every
    `ResilienceError`, as `to_dict` does.

    Of any other exception neither tells more than its category: no message, no arguments, no name.

    >>> document(ResilienceError("row 7 is locked", category="conflict"), public="client_error")[2]["detail"]
    'row 7 is locked'
    >>> document(ConnectionResetError("10.0.0.7 went away"), format="service")[2]
    {'error': 'INTERNAL_ERROR', 'message': 'An internal error occurred', 'details': {}}
    """
    a_format(format)
    shown = shown_for(public)
    status = status_code(exc)
    found = {"Content-Type": MEDIA_TYPES[format], **headers(exc)}
    try:
        leaf = category_told(exc)
        if format == "service":
            return status, found | _for_programs(exc, leaf), _service(exc)
        return status, found, _problem(exc, leaf, status, instance, bool(shown is not None and leaf in shown))
    except Exception:  # what is left to say
        if format == "service":
            return status, found, {"error": "INTERNAL_ERROR", "message": _INTERNAL, "details": {}}
        return status, found, {"type": "about:blank", "title": phrase_of(status), "status": status}


def category_told(exc: BaseException) -> ErrorCategory:
    """Return the leaf that is told of *exc*: one that nobody has declared never blames who has asked.

    >>> category_told(ImportError("shop.plugins")).label
    'internal'
    """
    known = explain(exc)
    if is_ours(exc):  # one that declares a group has the leaf that its own documents have
        return known.category if known.rule == "registered" else leaf_of(safe_getattr(exc, "category"))
    if known.rule in ("registered", "declared"):
        return known.category
    if known.category is _C.RATE_LIMIT:  # somebody has had enough of us, not we of who has asked
        return _C.UNAVAILABLE
    return known.category if profile_for(known.category).http >= 500 else _C.INTERNAL


def is_ours(exc: BaseException) -> bool:
    """Return whether *exc* is a `ResilienceError`, whatever it claims in `__class__`."""
    return issubclass(type(exc), ResilienceError)


def a_format(format: object) -> None:  # noqa: A002 - as above
    """Raise ValueError for what is no `Format`."""
    if format not in get_args(Format):
        raise ValueError(f"format={format!r}: give 'problem' or 'service'")


def shown_for(public: CategoryLike | None) -> ErrorCategory | None:
    """Return the categories that are public; ValueError or TypeError for what is none."""
    return None if public is None else combine("public", [public])


def phrase_of(status: int) -> str:
    """Return an HTTP status in words."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # 499, which nginx made up and everybody understands
        return "Client Closed Request" if status == 499 else f"Status {status}"


def _status(exc: BaseException) -> int:
    family = family_of(type(exc))
    if family is not None and family.status is not None:
        return family.status(exc)
    return profile_for(category_told(exc)).http


def _wait(exc: BaseException) -> float | None:
    wait = retry_after(exc)  # in the attribute, or in the headers of an upstream's answer
    return wait if wait is not None and math.isfinite(wait) else None


def _service(exc: BaseException) -> dict[str, Json]:
    if isinstance(exc, ResilienceError):
        return exc.to_dict()
    body: dict[str, Json] = {"error": "INTERNAL_ERROR", "message": _INTERNAL, "details": {}}
    wait = _wait(exc)
    if wait is not None:
        body["retry_after"] = wait
    return body


def _problem(
    exc: BaseException, leaf: ErrorCategory, status: int, instance: str | None, public: bool
) -> dict[str, Json]:
    if isinstance(exc, ResilienceError):
        found = exc.to_problem(instance, public=public)
    else:
        found = ResilienceError(USER_MESSAGES[leaf], category=leaf, retry_after=_wait(exc)).to_problem(instance)
    # The status in the document is that of the answer (RFC 9457, 3.1.2), also where a family has a table of its own.
    return found | {"status": status, "title": phrase_of(status), "category": leaf.label}


def _for_programs(exc: BaseException, leaf: ErrorCategory) -> dict[str, str]:
    found = {CATEGORY_HEADER: leaf.label}
    if isinstance(exc, ResilienceError):
        try:
            found[CODE_HEADER] = parse_code("code", exc.code)  # letters, digits and a dash: nothing that ends a header
        except (TypeError, ValueError):
            pass
    return found
