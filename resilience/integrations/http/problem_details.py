"""The HTTP answer to an exception: status, headers and document.

`document` makes the whole answer. Two formats are known (`Format`). Neither reveals the message of an exception that is
no `ResilienceError`: it may name hosts, tables and people. These functions are called while an exception is handled;
nothing that the exception does makes them raise.
"""

from __future__ import annotations

import contextlib
import math
from typing import Final, Literal, TypeAlias, get_args

from resilience._safe_access import safe_getattr
from resilience._validation import require
from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.classification import retry_after
from resilience.classification.classifier import explain
from resilience.errors._families import family_of
from resilience.errors._json_safe import Json
from resilience.errors._serialization import phrase_of
from resilience.errors._user_messages import USER_MESSAGES, leaf_of
from resilience.errors.base import RateLimitedError, ResilienceError
from resilience.errors.codes import parse_code
from resilience.integrations.http._rate_limit_headers import rate_limit_headers
from resilience.profiles import profile_for

__all__ = [
    "CATEGORY_HEADER",
    "CODE_HEADER",
    "MEDIA_TYPES",
    "Format",
    "document",
    "headers",
    "is_ours",
    "parse_public",
    "phrase_of",
    "published_category",
    "require_format",
    "status_code",
]

Format = Literal["problem", "service"]
"""``problem``: RFC 9457, ``application/problem+json``. ``service``: `error`, `message`, `details`, `retry_after`."""

MEDIA_TYPES: Final[dict[str, str]] = {"problem": "application/problem+json", "service": "application/json"}
# For the service format, whose body has neither.
CATEGORY_HEADER: Final = "X-Error-Category"
CODE_HEADER: Final = "X-Error-Code"

_Answer: TypeAlias = tuple[int, dict[str, str], dict[str, Json]]
_MAX_WAIT: Final = 2**31 - 1  # seconds; to what RFC 9111 (1.2.2) has recipients reduce larger numbers


def status_code(exc: BaseException) -> int:
    """Return the HTTP status to answer *exc* with: 400 to 599. Never raises.

    For an error of a family with statuses of its own, such as `resilience.contrib.service`, that one; for every other
    `ResilienceError`, and for an exception whose category was declared or registered, the one of the category's row in
    the profile table.

    Any other exception is classified, and is never answered with a 4xx: where a library, or another service, reports a
    bad request or not found, this service has failed, 500; where it limits our rate, this service is unavailable, 503.
    A `RateLimitedError` is 429: a rate limit of this service has refused the request.

    >>> from resilience.contrib import service
    >>> status_code(service.TaskNotFoundError("t-7")), status_code(ResilienceError("no", category="conflict"))
    (404, 409)
    >>> status_code(TimeoutError()), status_code(FileNotFoundError("/etc/shop.toml"))
    (504, 500)
    """
    try:
        found = _status(exc)
    except Exception:  # an exception whose attributes raise
        return 500
    if 400 <= found <= 599:
        return found
    return 500  # a family or a profile may say anything; the answer to a 204 or a 304 could have no body


def headers(exc: BaseException) -> dict[str, str]:
    """Return the headers for *exc*: `Retry-After`, in whole seconds, where there is a wait. Never raises.

    Rounded up, since a client that comes too early is rejected again. A wait of 0 is sent; an infinite one is not. A
    `RateLimitedError` has `RateLimit` and `RateLimit-Policy` as well, of draft-ietf-httpapi-ratelimit-headers.

    >>> headers(ResilienceError("full", retry_after=0.3)), headers(KeyError("lamp"))
    ({'Retry-After': '1'}, {})
    >>> headers(RateLimitedError("search", "100/min", retry_after=0.3))
    {'Retry-After': '1', 'RateLimit': '"search";r=0;t=1', 'RateLimit-Policy': '"search";q=100;w=60'}
    """
    wait, sent = _wait(exc), dict[str, str]()
    if wait is not None:
        sent["Retry-After"] = str(min(math.ceil(wait), _MAX_WAIT))
    if isinstance(exc, RateLimitedError):
        sent |= rate_limit_headers(exc, sent.get("Retry-After"))
    return sent


def document(
    exc: BaseException,
    *,
    format: Format = "problem",  # noqa: A002 - the name of this parameter everywhere
    instance: str | None = None,
    public: CategoryLike | None = None,
) -> tuple[int, dict[str, str], dict[str, Json]]:
    """Return the answer to *exc*: status, headers, and a body as JSON.

    A problem has the user message of the error. *public* are categories whose messages and details are meant for the
    client, such as ``"client_error"``. The service format has message and details of every `ResilienceError`, as
    `to_dict` does, and category and code in the headers `X-Error-Category` and `X-Error-Code`. Of any other exception
    both reveal no more than its category: no message, no arguments, no name.

    Raises ValueError or TypeError for an invalid *format* or *public*, and for nothing that *exc* does.

    >>> document(ResilienceError("row 7 is locked", category="conflict"), public="client_error")[2]["detail"]
    'row 7 is locked'
    >>> document(ConnectionResetError("10.0.0.7 went away"), format="service")[2]
    {'error': 'INTERNAL_ERROR', 'message': 'An internal error occurred', 'details': {}}
    """
    require_format(format)
    shown = parse_public(public)
    status = status_code(exc)
    sent = {"Content-Type": MEDIA_TYPES[format], **headers(exc)}
    make = {"service": _service_answer, "problem": _problem_answer}[format]
    try:
        return make(exc, status, sent, instance, shown)
    except Exception:  # an exception whose attributes raise: the least that can be said
        return status, sent, _minimal_body(format, status)


def published_category(exc: BaseException) -> ErrorCategory:
    """Return the leaf that an answer names. Unless it was declared or registered, it is never one of a 4xx status.

    >>> published_category(ImportError("shop.plugins")).label
    'internal'
    """
    known = explain(exc)
    if known.rule == "registered":
        return known.category
    if is_ours(exc):  # one that declares a group has the leaf that its own documents have
        return _seen_by_client(exc, leaf_of(safe_getattr(exc, "category")))
    if known.rule == "declared":
        return known.category
    if known.category is ErrorCategory.RATE_LIMIT:  # our rate at a dependency, not the client's rate here
        return ErrorCategory.UNAVAILABLE
    if profile_for(known.category).http >= 500:
        return known.category
    return ErrorCategory.INTERNAL


def _seen_by_client(exc: BaseException, leaf: ErrorCategory) -> ErrorCategory:
    """Return *leaf*; for a rate limit of this service that refused the request that it limits the client's rate."""
    if leaf is ErrorCategory.REJECTED and issubclass(type(exc), RateLimitedError):
        return ErrorCategory.RATE_LIMIT
    return leaf


def is_ours(exc: BaseException) -> bool:
    """Return whether *exc* is a `ResilienceError`, whatever it claims in `__class__`."""
    return issubclass(type(exc), ResilienceError)


def require_format(format: object) -> None:  # noqa: A002 - as above
    """Raise ValueError unless *format* is a `Format`."""
    require(format in get_args(Format), "format", format, "'problem' or 'service'")


def parse_public(public: CategoryLike | None) -> ErrorCategory | None:
    """Return the public categories. Raises ValueError or TypeError for a value that is no category."""
    if public is None:
        return None
    return combine("public", [public])


def _status(exc: BaseException) -> int:
    """Return the status that the family of an error, or the profile of its category, says."""
    family = family_of(type(exc))
    if family is not None and family.status is not None:
        return family.status(exc)
    return profile_for(published_category(exc)).http


def _wait(exc: BaseException) -> float | None:
    """Return the finite wait that an exception carries, as an attribute or in the headers of an upstream's answer."""
    wait = retry_after(exc)
    if wait is None or not math.isfinite(wait):
        return None
    return wait


def _service_answer(
    exc: BaseException, status: int, sent: dict[str, str], _instance: str | None, _public: ErrorCategory | None
) -> _Answer:
    """Return the answer in the service format: the error's own body, or a minimal one for other exceptions."""
    sent = sent | {CATEGORY_HEADER: published_category(exc).label}
    if isinstance(exc, ResilienceError):
        with contextlib.suppress(TypeError, ValueError):  # a valid code holds nothing that ends a header
            sent[CODE_HEADER] = parse_code("code", exc.code)
        return status, sent, exc.to_dict()
    body = _minimal_body("service", status)
    wait = _wait(exc)
    if wait is not None:
        body["retry_after"] = wait
    return status, sent, body


def _problem_answer(
    exc: BaseException, status: int, sent: dict[str, str], instance: str | None, public: ErrorCategory | None
) -> _Answer:
    """Return the answer as a problem of RFC 9457; other exceptions become a `ResilienceError` without a message."""
    leaf = published_category(exc)
    is_public = isinstance(exc, ResilienceError) and public is not None and leaf in public
    if not isinstance(exc, ResilienceError):
        exc = ResilienceError(USER_MESSAGES[leaf], category=leaf, retry_after=_wait(exc))
    # The status in the document is that of the answer (RFC 9457, 3.1.2), also where a family has statuses of its own.
    own: dict[str, Json] = {"status": status, "title": phrase_of(status), "category": leaf.label}
    return status, sent, exc.to_problem(instance, public=is_public) | own


def _minimal_body(format: Format, status: int) -> dict[str, Json]:  # noqa: A002 - as above
    if format == "service":
        return {"error": "INTERNAL_ERROR", "message": "An internal error occurred", "details": {}}
    return {"type": "about:blank", "title": phrase_of(status), "status": status}
