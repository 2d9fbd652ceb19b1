"""What errors are given, checked where it is written."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import cast

from resilience.category import ErrorCategory, Severity, combine

__all__ = ["a_leaf", "a_severity", "a_wait", "add_note", "alike", "said_by"]


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


def said_by(error: BaseException) -> str:
    """Return what an exception says, also where its `__str__` fails."""
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} whose message cannot be read>"


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
