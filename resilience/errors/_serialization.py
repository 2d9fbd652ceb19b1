"""An error as a document: the body of an answer, a problem as of RFC 9457. Nothing an error does makes these raise."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from resilience.categories import Severity
from resilience.errors._json_safe import Json, message_of, safe_details, safe_text
from resilience.errors._user_messages import USER_MESSAGES, leaf_of, title_of
from resilience.errors._validation import class_name
from resilience.profiles import profile_for

if TYPE_CHECKING:
    from resilience.errors.base import ResilienceError

__all__ = ["body_of", "problem_of", "wait_of"]

_MOST_WAIT = 1e300  # seconds; also not infinite, and not NaN


def body_of(error: ResilienceError, *, full: bool) -> dict[str, Json]:
    """Do what `ResilienceError.to_dict` says."""
    body: dict[str, Json] = {
        "error": _text(error, "error_code", "UNKNOWN_ERROR"),
        "message": message_of(error),
        "details": safe_details(_ask(error, "details")),
    }
    wait = wait_of(error)
    if wait is not None:
        body["retry_after"] = wait
    if full:
        severity = _ask(error, "severity")
        leaf = leaf_of(_ask(error, "category"))
        body["code"] = _text(error, "code", "RES-E000")
        body["category"] = leaf.label
        body["severity"] = severity.value if isinstance(severity, Severity) else profile_for(leaf).severity.value
        body["type"] = class_name(type(error))
    return body


def problem_of(error: ResilienceError, instance: str | None, type_base: str | None, *, public: bool) -> dict[str, Json]:
    """Do what `ResilienceError.to_problem` says."""
    leaf = leaf_of(_ask(error, "category"))
    row = profile_for(leaf)
    code = _text(error, "code", "RES-E000")
    if type_base is not None:
        title = title_of(type(error))
    else:  # RFC 9457, section 4.2.1: with about:blank the title is the status in words
        title = _phrase(row.http)
    problem: dict[str, Json] = {
        "type": "about:blank" if type_base is None else f"{type_base}{code}",
        "title": title,
        "status": row.http,
        "detail": message_of(error) if public else _text(error, "user_message", USER_MESSAGES[leaf]),
        "code": code,
        "category": leaf.label,
    }
    if instance is not None:
        problem["instance"] = instance
    wait = wait_of(error)
    if wait is not None:
        problem["retry_after"] = wait
    if public:
        problem["details"] = safe_details(_ask(error, "details"))
    return problem


def wait_of(error: BaseException) -> float | None:
    """Return the seconds to wait that an error carries, where they can be written in JSON; 0 means now."""
    found = _ask(error, "retry_after")
    if isinstance(found, timedelta):
        found = found.total_seconds()
    # Not `isfinite`, which an int that is longer than any float makes raise.
    if isinstance(found, bool) or not isinstance(found, int | float) or not -_MOST_WAIT < found < _MOST_WAIT:
        return None
    return found


def _ask(error: BaseException, name: str) -> object:
    try:
        found: object = getattr(error, name, None)
    except Exception:  # a property of the application's
        return None
    return found


def _text(error: BaseException, name: str, otherwise: str) -> str:
    found = _ask(error, name)
    return safe_text(found) if type(found) is str and found else otherwise


def _phrase(status: int) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:  # 499, which nginx made up and everybody understands
        return "Client Closed Request" if status == 499 else f"Status {status}"
