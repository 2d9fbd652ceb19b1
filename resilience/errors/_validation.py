"""What errors are given, checked where it is written."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import cast

from resilience.categories import ErrorCategory, Severity, combine

__all__ = ["a_leaf", "a_severity", "a_wait", "add_note", "alike", "class_name", "safe_message"]

class_name: Callable[[type], str] = vars(type)["__name__"].__get__
"""Return the name of a class. A metaclass may have a `__name__` of its own, which is not asked."""


def a_leaf(category: object) -> ErrorCategory:
    """Return one leaf, given as a member, its label or its name; TypeError or ValueError otherwise."""
    found = combine("category", [category])
    if not found.is_leaf:
        near = next(iter(found)).label
        raise ValueError(f"category={found.label!r}: give one leaf, such as {near!r}; this is a group of {len(found)}")
    return found


def a_severity(severity: Severity | str) -> Severity:
    """Return a severity, given as a member or its value; ValueError otherwise."""
    try:
        return Severity(severity)
    except ValueError:
        known = ", ".join(repr(each.value) for each in Severity)
        raise ValueError(f"severity={severity!r}: give one of {known}") from None


def a_wait(retry_after: object) -> float:
    """Return seconds of 0 or more; TypeError where it is no number. A moment that has passed is 0."""
    if isinstance(retry_after, timedelta):
        retry_after = retry_after.total_seconds()
    nan = isinstance(retry_after, float) and math.isnan(retry_after)
    if nan or isinstance(retry_after, bool) or not isinstance(retry_after, int | float):
        raise TypeError(f"retry_after={retry_after!r}: give seconds (a number or a timedelta) of 0 or more")
    return max(retry_after, 0)  # and a whole number stays one: it goes into a header as it is


def safe_message(error: BaseException) -> str:
    """Return ``str(error)`` as a plain string, or a text that names its class where `__str__` fails. Never raises.

    >>> safe_message(KeyError("lamp"))
    "'lamp'"
    """
    try:
        return str.__str__(str(error))  # what `__str__` returns may be of a subclass, with methods of its own
    except Exception:
        return f"<{class_name(type(error))} whose message cannot be read>"


def alike(one: object, other: object) -> bool:
    """Return whether two details are the same."""
    try:
        return one is other or bool(one == other)
    except Exception:  # an array, which has as many answers as members
        return False


def add_note(error: BaseException, note: str) -> None:
    """Add a note, also to an exception that forbids to set attributes, as one that is a frozen dataclass does."""
    notes: object = error.__dict__.get("__notes__")
    error.__dict__["__notes__"] = [*cast("list[str]", notes), note] if isinstance(notes, list) else [note]
