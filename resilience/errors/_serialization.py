"""Errors as JSON documents: the body of an HTTP answer, and a problem as of RFC 9457.

Both are made while an error is handled, so nothing that an error does makes these functions raise: an attribute that
cannot be read has its default, a message is bounded, and details become plain JSON without secrets.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

from resilience._safe_access import safe_getattr
from resilience.categories import Severity
from resilience.errors._json_safe import Json, message_of, safe_details, safe_text
from resilience.errors._user_messages import USER_MESSAGES, leaf_of, title_of
from resilience.errors._validation import class_name
from resilience.profiles import profile_for

if TYPE_CHECKING:
    from resilience.errors.base import ResilienceError

__all__ = ["body_of", "phrase_of", "problem_of", "wait_of"]

_MAX_WAIT = 1e300  # seconds; also not infinite, and not NaN
_DEFAULT_CODE = "RES-E000"


def body_of(error: ResilienceError, *, full: bool) -> dict[str, Json]:
    """Return what `ResilienceError.to_dict` does."""
    body: dict[str, Json] = {
        "error": _text(error, "error_code", "UNKNOWN_ERROR"),
        "message": message_of(error),
        "details": safe_details(safe_getattr(error, "details")),
    }
    _add_wait(body, error)
    if full:
        leaf = leaf_of(safe_getattr(error, "category"))
        severity = safe_getattr(error, "severity")
        if not isinstance(severity, Severity):
            severity = profile_for(leaf).severity
        body["code"] = _text(error, "code", _DEFAULT_CODE)
        body["category"] = leaf.label
        body["severity"] = severity.value
        body["type"] = class_name(type(error))
    return body


def problem_of(error: ResilienceError, instance: str | None, type_base: str | None, *, public: bool) -> dict[str, Json]:
    """Return what `ResilienceError.to_problem` does."""
    leaf = leaf_of(safe_getattr(error, "category"))
    status = profile_for(leaf).http
    code = _text(error, "code", _DEFAULT_CODE)
    problem_type, title = "about:blank", phrase_of(status)  # RFC 9457, 4.2.1: the title is then the status in words
    if type_base is not None:
        problem_type, title = f"{type_base}{code}", title_of(type(error))
    problem: dict[str, Json] = {
        "type": problem_type,
        "title": title,
        "status": status,
        "detail": _text(error, "user_message", USER_MESSAGES[leaf]),
        "code": code,
        "category": leaf.label,
    }
    if instance is not None:
        problem["instance"] = instance
    _add_wait(problem, error)
    if public:
        problem["detail"] = message_of(error)
        problem["details"] = safe_details(safe_getattr(error, "details"))
    return problem


def wait_of(error: BaseException) -> float | None:
    """Return the seconds to wait that an error carries, where they can be written in JSON; 0 means now."""
    wait = safe_getattr(error, "retry_after")
    if isinstance(wait, timedelta):
        wait = wait.total_seconds()
    if isinstance(wait, bool) or not isinstance(wait, int | float):
        return None
    # Compared, not tested by `isfinite`: an int that is longer than any float makes that raise.
    if not -_MAX_WAIT < wait < _MAX_WAIT:
        return None
    return wait


def phrase_of(status: int) -> str:
    """Return an HTTP status in words.

    >>> phrase_of(404), phrase_of(499), phrase_of(599)
    ('Not Found', 'Client Closed Request', 'Status 599')
    """
    from http import HTTPStatus

    if status == 499:  # of nginx; the standard library does not have it
        return "Client Closed Request"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def _add_wait(document: dict[str, Json], error: BaseException) -> None:
    wait = wait_of(error)
    if wait is not None:
        document["retry_after"] = wait


def _text(error: BaseException, name: str, default: str) -> str:
    value = safe_getattr(error, name)
    if not issubclass(type(value), str):
        return default
    text = str.__str__(cast("str", value))  # of a subclass the text itself, whatever its methods do
    if not text:
        return default
    return safe_text(text)
