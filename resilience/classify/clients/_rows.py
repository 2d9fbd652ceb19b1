"""What tables are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from resilience.category import ErrorCategory
from resilience.classify.look import Found, attribute, name_of

__all__ = ["api_classes", "bare", "inside", "inside_or", "named", "said_or"]


def named(category: ErrorCategory, names: str) -> dict[str, ErrorCategory]:
    """Return rows for several classes, written as words.

    >>> named(ErrorCategory.TIMEOUT, "ConnectTimeout ReadTimeout")["ReadTimeout"].label
    'timeout'
    """
    return dict.fromkeys(names.split(), category)


def inside(exc: BaseException, *names: str) -> ErrorCategory | None:
    """Return the category of the exception that *exc* wraps in one of its attributes, or in its first argument."""
    from resilience.classify.decide import classify  # which reads the tables

    args = attribute(exc, "args")
    first = cast("tuple[object, ...]", args)[:1] if type(args) is tuple else ()
    for part in (*(attribute(exc, name) for name in names), *first):
        if issubclass(type(part), BaseException) and part is not exc:
            category = classify(cast("BaseException", part))
            if category is not ErrorCategory.UNKNOWN:
                return category
    return None


def inside_or(default: ErrorCategory, *names: str) -> Callable[[BaseException], ErrorCategory]:
    """Return a row: what the wrapped exception says, else *default*."""

    def row(exc: BaseException) -> ErrorCategory:
        return inside(exc, *names) or default

    return row


def said_or(
    said: Callable[[BaseException], Found | None], default: ErrorCategory | Callable[[BaseException], Found]
) -> Callable[[BaseException], Found | ErrorCategory]:
    """Return a row: what *said* reads from the answer, else *default*."""

    def row(exc: BaseException) -> Found | ErrorCategory:
        return said(exc) or (default if isinstance(default, ErrorCategory) else default(exc))

    return row


def bare(category: ErrorCategory, name: str) -> Callable[[BaseException], ErrorCategory | None]:
    """Return a row for a class that speaks for itself, and not for its subclasses: *name* is `library.Class`."""

    def row(exc: BaseException) -> ErrorCategory | None:
        return category if ".".join(name_of(type(exc))) == name else None

    return row


def api_classes(
    said: Callable[[BaseException], Found | None],
) -> dict[str, ErrorCategory | Callable[[BaseException], Found | ErrorCategory | None]]:
    """Return the rows of the classes that openai and anthropic, made by one generator, have in common.

    *said* reads the category from the answer of the other side.
    """
    c = ErrorCategory
    return {
        "APIStatusError": said,
        "BadRequestError": said_or(said, c.VALIDATION),
        "UnprocessableEntityError": said_or(said, c.VALIDATION),
        "AuthenticationError": said_or(said, c.AUTHENTICATION),
        "PermissionDeniedError": said_or(said, c.AUTHORIZATION),
        "NotFoundError": said_or(said, c.NOT_FOUND),
        "ConflictError": said_or(said, c.CONFLICT),
        "RateLimitError": said_or(said, c.RATE_LIMIT),
        "InternalServerError": said_or(said, c.SERVER_ERROR),
        "APIConnectionError": c.NETWORK,
        "APITimeoutError": c.TIMEOUT,
        "APIResponseValidationError": c.DEPENDENCY,
    }
