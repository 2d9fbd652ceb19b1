"""Exceptions from HTTP answers: `error_from_response` and `raise_for_problem`, for clients of a service.

Together with the server side of this package an error crosses the network: the client raises the class, with the
category, the details and the wait, that the server has answered with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final, TypeVar

from resilience._validation import require
from resilience.categories import ErrorCategory
from resilience.classification import category_of_status
from resilience.errors._families import class_for_code, class_for_word
from resilience.errors._json_safe import safe_details, safe_text
from resilience.errors.base import ResilienceError
from resilience.errors.codes import CodeRegistry, parse_code
from resilience.integrations.http._exception_factory import ErrorFields, build_exception
from resilience.integrations.http._response_parser import ParsedResponse, parse_response
from resilience.integrations.http.problem_details import CATEGORY_HEADER, CODE_HEADER

__all__ = ["error_from_response", "raise_for_problem"]

T = TypeVar("T")

_MAX_MESSAGE: Final = 100_000
_LEAVES: Final = {leaf.label: leaf for leaf in ErrorCategory}


def error_from_response(
    response: object, *, registry: CodeRegistry | Iterable[CodeRegistry] | None = None
) -> ResilienceError | None:
    """Return the error that *response* reports, or None where its status is below 400. Never raises for its content.

    *response* is one of httpx, requests or a similar client, whose body has been read, or ``(status, headers, body)``.
    Documents of both formats are understood; an answer without one is judged by its status.

    The class is the one that declares the document's code in a registry of this process, or in *registry* alone. The
    category is that of the document, else that of the class, else that of the status. The wait is that of `Retry-After`
    or of the document. Details are bounded, and without secrets. No constructor is called with data of the server: its
    parameters become attributes where the details, or a default, name them; a problem that is not *public* has no
    details. Raises TypeError for a *registry* that is none.

    >>> import resilience.contrib.service  # declares TaskNotFoundError
    >>> body = b'{"error": "TASK_NOT_FOUND", "message": "Task t-7 not found", "details": {"task_id": "t-7"}}'
    >>> error = error_from_response((404, {"Retry-After": "3"}, body))
    >>> type(error).__name__, str(error), error.category.label, error.retry_after, error.task_id
    ('TaskNotFoundError', 'Task t-7 not found', 'not_found', 3.0, 't-7')
    >>> error_from_response((503, {}, "<h1>Bad day</h1>")).category.label
    'unavailable'
    """
    prefixes = _prefixes(registry)
    parsed = parse_response(response)
    if parsed is None:
        return None
    code, word = _code(parsed), parsed.text("error")
    kind = _class_for(code, word, prefixes)
    fields = ErrorFields(
        message=_message(parsed),
        category=_category(parsed, kind),
        code=code,
        word=word,
        details=safe_details(parsed.document.get("details")),
        wait=parsed.wait(),
    )
    return build_exception(kind or ResilienceError, fields)


def raise_for_problem(response: T, *, registry: CodeRegistry | Iterable[CodeRegistry] | None = None) -> T:
    """Raise the error that *response* reports (`error_from_response`); return *response* where it reports none.

    A retry, a circuit breaker or a fallback around the call decides by the category of that error.

    >>> raise_for_problem((429, {"Retry-After": "2"}, b""))
    Traceback (most recent call last):
    ...
    resilience.errors.base.ResilienceError: HTTP 429
    """
    error = error_from_response(response, registry=registry)
    if error is not None:
        raise error
    return response


def _prefixes(registry: CodeRegistry | Iterable[CodeRegistry] | None) -> frozenset[str] | None:
    """Return the prefixes of the registries that count; None where all do."""
    if registry is None:
        return None
    if isinstance(registry, CodeRegistry):
        registry = [registry]
    registries = list(registry)
    for each in registries:
        require(isinstance(each, CodeRegistry), "registry", each, "a CodeRegistry, or several", TypeError)
    return frozenset(each.prefix for each in registries)


def _class_for(code: str | None, word: str | None, prefixes: frozenset[str] | None) -> type[ResilienceError] | None:
    """Return the class of a code, or, in a document without one, that of a family's word."""
    if code is not None:
        return class_for_code(code, prefixes)
    if word is not None:
        return class_for_word(word, prefixes)
    return None


def _code(parsed: ParsedResponse) -> str | None:
    """Return the code of a document or a header; the field ``error`` may be a code or a word."""
    for code in (parsed.text("code"), parsed.headers.get(CODE_HEADER.lower()), parsed.text("error")):
        with contextlib.suppress(TypeError, ValueError):  # a word, a number, or nothing
            return parse_code("code", code)
    return None


def _category(parsed: ParsedResponse, kind: type[ResilienceError] | None) -> ErrorCategory:
    """Return the category of a response: by its document, a header, the class of the error, or the status."""
    for label in (parsed.text("category"), parsed.headers.get(CATEGORY_HEADER.lower())):
        if label in _LEAVES:
            return _LEAVES[label]
    own: object = getattr(kind, "category", None)  # a class may answer by a property
    if type(own) is ErrorCategory and own.is_leaf and own is not ErrorCategory.UNKNOWN:
        return own
    return category_of_status(parsed.status)


def _message(parsed: ParsedResponse) -> str:
    """Return the text of a document, in either format, without secrets; the status where it has none."""
    texts = [parsed.text(name, limit=_MAX_MESSAGE) for name in ("message", "detail", "title")]
    return next((safe_text(text) for text in texts if text is not None), f"HTTP {parsed.status}")
