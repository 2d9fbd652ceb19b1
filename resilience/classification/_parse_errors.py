"""Texts that cannot be parsed: the response of a server, or input of the program's own.

A gateway that is in trouble answers with a page of HTML, and the call that fails is ``response.json()``. httpx,
requests and most other clients raise Python's own `json.JSONDecodeError` there, the very error that a wrong file
raises. The traceback tells the two apart: the parser was called by the method of an object that has a status and
headers. Such an error goes by that status, and is DEPENDENCY where the status was no error. Any other is VALIDATION:
the same text fails again.

Whichever it is, a text that cannot be parsed is no proof that the dependency works: see `is_garbage`.
"""

from __future__ import annotations

from types import FrameType

from resilience._safe_access import as_int, mro, qualified_name, safe_getattr
from resilience.categories import ErrorCategory
from resilience.classification.frames import frames_of
from resilience.classification.http_status import category_of_status
from resilience.classification.match import Match

__all__ = ["by_parsed_response", "by_parser", "is_garbage"]

_PARSERS = frozenset({"json", "text", "read_json", "get_json", "json_body", "xml", "parse"})
_GARBAGE = frozenset(
    {
        ("builtins", "UnicodeDecodeError"),
        ("json", "JSONDecodeError"),
        ("simplejson", "JSONDecodeError"),
        ("msgspec", "DecodeError"),
        ("pydantic_core", "ValidationError"),
        ("pydantic", "ValidationError"),
        ("xml", "ParseError"),
        ("lxml", "XMLSyntaxError"),
    }
)


def by_parser(exc: BaseException) -> Match:
    """Return a row for the errors of a parser: by the response that was parsed, else VALIDATION.

    >>> by_parser(ValueError("no JSON")).category.label
    'validation'
    """
    return by_parsed_response(exc) or Match(ErrorCategory.VALIDATION, "the text cannot be parsed")


def by_parsed_response(exc: BaseException) -> Match | None:
    """Return the category of the response whose method called the parser, or None where there was no response."""
    for frame in frames_of(exc):
        status = _status_of_response(frame)
        if status is not None:
            category = category_of_status(status)
            if category is ErrorCategory.UNKNOWN:
                return Match(ErrorCategory.DEPENDENCY, f"the response, with status {status}, cannot be parsed")
            return Match(category, f"status {status} of a response that cannot be parsed")
    return None


def _status_of_response(frame: FrameType) -> int | None:
    """Return the status of the response whose method runs in a frame."""
    if frame.f_code.co_name not in _PARSERS:
        return None
    response = frame.f_locals.get("self")
    status = as_int(safe_getattr(response, "status_code")) or as_int(safe_getattr(response, "status"))
    if safe_getattr(response, "headers") is None:
        return None
    return status


def is_garbage(exc: BaseException) -> bool:
    """Return whether a failure says that a text could not be parsed or did not fit its model.

    A circuit takes most errors of its caller for a sign that the dependency works: it has answered. Not these: an
    answer that cannot be read is no proof of health, whatever its category.

    >>> is_garbage(UnicodeDecodeError("utf-8", b"", 0, 1, "")), is_garbage(ValueError())
    (True, False)
    """
    return any(qualified_name(kind) in _GARBAGE for kind in mro(exc))
