"""The way back: an answer becomes the error it is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from resilience.categories import ErrorCategory
from resilience.classification import category_of_status
from resilience.errors._families import class_for_code, class_for_word
from resilience.errors._json_safe import safe_details, safe_text
from resilience.errors.base import ResilienceError
from resilience.errors.codes import CodeRegistry, parse_code
from resilience.integrations.http._exception_factory import Known, rebuilt
from resilience.integrations.http._response_parser import Heard, hear
from resilience.integrations.http.problem_details import CATEGORY_HEADER, CODE_HEADER

__all__ = ["error_from_response", "raise_for_problem"]

T = TypeVar("T")

_LEAVES: Final = {leaf.label: leaf for leaf in ErrorCategory}


def error_from_response(
    response: object, *, registry: CodeRegistry | Iterable[CodeRegistry] | None = None
) -> ResilienceError | None:
    """Return the error that *response* is about, or None where its status is below 400. Never raises for what it says.

    *response* is one of httpx, requests or any client alike, read before, or ``(status, headers, body)``. Both formats
    are understood, and an answer in none.

    The class is that of the document's code, where a class known here declares it: in any registry, or in *registry*
    alone. The category is the one that is told, else that of the class, else that of the status. The wait is that of
    `Retry-After` or of the document. No constructor is called for what a stranger says: arguments of the class are
    there as attributes where the details name them.

    >>> body = b'{"error": "TASK_NOT_FOUND", "message": "Task t-7 not found", "details": {"task_id": "t-7"}}'
    >>> error = error_from_response((404, {"Retry-After": "3"}, body))
    >>> type(error).__name__, str(error), error.category.label, error.retry_after, error.task_id
    ('TaskNotFoundError', 'Task t-7 not found', 'not_found', 3.0, 't-7')
    >>> error_from_response((503, {}, "<h1>Bad day</h1>")).category.label
    'unavailable'
    """
    allowed = _allowed(registry)
    heard = hear(response)
    if heard is None:
        return None
    code = _code(heard)
    word = heard.word("error")
    kind = None if code is None else class_for_code(code, allowed)
    if kind is None and word is not None and code is None:
        kind = class_for_word(word, allowed)
    own = None if kind is None else kind.category
    return rebuilt(
        kind or ResilienceError,
        Known(
            message=_message(heard),
            category=_category(heard, own),
            code=code,
            word=word,
            details=dict(safe_details(heard.document.get("details"))),
            wait=heard.wait(),
        ),
    )


def raise_for_problem(response: T, *, registry: CodeRegistry | Iterable[CodeRegistry] | None = None) -> T:
    """Raise the error that *response* is about; return *response* where it is about none.

    As `error_from_response`; what raises is what a retry, a circuit and a fallback around it read the category of.

    >>> raise_for_problem((429, {"Retry-After": "2"}, b""))
    Traceback (most recent call last):
    ...
    resilience.errors.base.ResilienceError: HTTP 429
    """
    error = error_from_response(response, registry=registry)
    if error is not None:
        raise error
    return response


def _allowed(registry: CodeRegistry | Iterable[CodeRegistry] | None) -> frozenset[str] | None:
    if registry is None:
        return None
    given = [registry] if isinstance(registry, CodeRegistry) else list(registry)
    for each in given:
        if not isinstance(each, CodeRegistry):
            raise TypeError(f"registry={each!r}: give a CodeRegistry, or several")
    return frozenset(each.prefix for each in given)


def _code(heard: Heard) -> str | None:
    for found in (heard.word("code"), heard.headers.get(CODE_HEADER.lower()), heard.word("error")):
        try:
            return parse_code("code", found)
        except (TypeError, ValueError):  # a word, a number, or nothing
            continue
    return None


def _category(heard: Heard, own: object) -> ErrorCategory:
    for label in (heard.word("category"), heard.headers.get(CATEGORY_HEADER.lower())):
        if label in _LEAVES:
            return _LEAVES[label]
    # A class that says nothing of its own knows less than the status does.
    if type(own) is ErrorCategory and own.is_leaf and own is not ErrorCategory.UNKNOWN:
        return own
    return category_of_status(heard.status)


def _message(heard: Heard) -> str:
    for name in ("message", "detail", "title"):
        found = heard.word(name, most=100_000)
        if found is not None:
            return safe_text(found)
    return f"HTTP {heard.status}"
