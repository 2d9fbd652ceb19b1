"""What the shims are given, checked."""

from __future__ import annotations

import inspect
from typing import cast

from resilience._validation import require

__all__ = ["Classes", "a_call", "classes"]

Classes = type[Exception] | tuple[type[Exception], ...]


def a_call(parameter: str, given: object, right: str) -> None:
    """Refuse what cannot be called; *right* says what can."""
    if not callable(given):
        if inspect.iscoroutine(given):
            given.close()  # nobody will await it: what it would warn of is said here
        raise TypeError(f"{parameter}={given!r}: give {right}")


def classes(parameter: str, given: object) -> tuple[type[Exception], ...]:
    """Return classes of exceptions, one or a tuple of them, as a tuple.

    What is no `Exception`, cancellation and Ctrl-C, is refused: it always passes.

    >>> classes("retry_on", OSError)
    (<class 'OSError'>,)
    """
    found = cast("tuple[object, ...]", given if isinstance(given, tuple) else (given,))
    right = "an Exception class, or a tuple of them"
    good = all(isinstance(kind, type) and issubclass(kind, Exception) for kind in found)
    shown: object = found if len(found) != 1 else found[0]
    require(good, parameter, shown, right, TypeError)
    require(bool(found), parameter, shown, f"{right}, at least one")
    return cast("tuple[type[Exception], ...]", found)
