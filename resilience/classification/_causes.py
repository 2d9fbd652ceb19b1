"""Categories by cause: what a class that no rule knows was made of.

Libraries wrap the failure of what they stand on, and most of them say so: by ``raise ... from``, or in an attribute
that holds the exception. Where nothing is known of the wrapper, the wrapped failure decides. That holds for classes of
installed distributions; an application's own class may mean something else than its cause, and keeps the meaning it has
unless the application asks for this by ``register(OwnError, "cause")``.

A cause that is a bug (INTERNAL) does not decide: a library that meets a TypeError while it reads a response, and
raises an error of its own, says that the response was bad.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from resilience._safe_access import safe_call, safe_getattr
from resilience.categories import ErrorCategory
from resilience.classification._installed import is_class_of_a_library
from resilience.classification._type_traits import attributes_of

__all__ = ["HOLDERS", "causes_of", "decides", "held_by"]

HOLDERS = ("last_attempt", "last_exception", "cause", "inner_exception", "original_exception", "orig")
"""Attributes in which wrappers keep the exception they stand for."""

_HOLDERS = frozenset(HOLDERS)
_MAX_CAUSES = 16  # wrappers around one error; the deepest real one has 5


def causes_of(exc: BaseException, follows: Callable[[type], bool] = is_class_of_a_library) -> Iterator[BaseException]:
    """Yield the exception that *exc* stands for, then the one which that stands for, and so on.

    The walk goes on from classes that *follows* accepts, and ends where an exception stands for none.

    >>> import tenacity
    >>> attempt = tenacity.Future.construct(3, TimeoutError(), has_exception=True)
    >>> list(causes_of(tenacity.RetryError(attempt)))
    [TimeoutError()]
    """
    seen = {id(exc)}
    while follows(type(exc)) and len(seen) < _MAX_CAUSES:
        held = held_by(exc)
        if held is None or id(held) in seen:
            return
        exc = held
        seen.add(id(exc))
        yield exc


def held_by(exc: BaseException) -> BaseException | None:
    """Return the exception that *exc* says it was made of: its explicit cause, else what an attribute holds."""
    there = attributes_of(exc, _HOLDERS)
    held = (_held(safe_getattr(exc, name)) for name in HOLDERS if name in there)
    for found in (safe_getattr(exc, "__cause__"), *held):
        if issubclass(type(found), BaseException):
            return cast("BaseException", found)
    return None


def _held(value: object) -> object:
    """Return the exception in an attribute: itself, or the failure of a future that is done, such as an attempt."""
    if issubclass(type(value), BaseException) or value is None:
        return value
    done = safe_call(safe_getattr(value, "done")) is True
    return safe_call(safe_getattr(value, "exception")) if done else None


def decides(category: ErrorCategory) -> bool:
    """Return whether a cause of this category says what the exception around it means."""
    return category is not ErrorCategory.UNKNOWN and category is not ErrorCategory.INTERNAL
