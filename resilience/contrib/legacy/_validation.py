"""Checks of the arguments of the ported interfaces: each error names the parameter, the value and a right one."""

from __future__ import annotations

import inspect
from typing import TypeAlias, cast

from resilience._validation import require

__all__ = ["ExceptionClasses", "parse_classes", "require_call"]

ExceptionClasses: TypeAlias = type[Exception] | tuple[type[Exception], ...]


def require_call(parameter: str, value: object, expected: str) -> None:
    """Raise TypeError unless *value* can be called; *expected* says what would be right.

    A coroutine is closed first: it is never awaited, and this error says so more clearly than the warning would.
    """
    if inspect.iscoroutine(value):
        value.close()
    require(callable(value), parameter, value, expected, TypeError)


def parse_classes(parameter: str, value: object) -> tuple[type[Exception], ...]:
    """Return exception classes, one or a tuple of them, as a tuple.

    Raises TypeError for a class that is not derived from `Exception`: cancellation and Ctrl-C always pass. Raises
    ValueError for an empty tuple.

    >>> parse_classes("retry_on", OSError)
    (<class 'OSError'>,)
    """
    expected = "an Exception class, or a tuple of them"
    classes = cast("tuple[object, ...]", value if isinstance(value, tuple) else (value,))
    shown: object = classes
    if len(classes) == 1:
        (shown,) = classes
    are_exceptions = all(isinstance(kind, type) and issubclass(kind, Exception) for kind in classes)
    require(are_exceptions, parameter, shown, expected, TypeError)
    require(bool(classes), parameter, shown, f"{expected}, at least one")
    return cast("tuple[type[Exception], ...]", classes)
