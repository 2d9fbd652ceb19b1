"""Checks of what errors are given, and operations on exceptions of unknown classes that never fail.

Errors are made while something else has failed. A constructor must therefore reject wrong arguments where they are
written, and what reads or changes an exception must not raise a second error in place of the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import cast

from resilience._validation import require
from resilience.categories import ErrorCategory, Severity, combine

__all__ = [
    "add_note",
    "class_name",
    "parse_details",
    "parse_leaf",
    "parse_severity",
    "parse_wait",
    "safe_equal",
    "safe_message",
]

class_name: Callable[[type], str] = vars(type)["__name__"].__get__
"""Return the name of a class. A metaclass may have a `__name__` of its own, which is not asked."""


def parse_leaf(category: object) -> ErrorCategory:
    """Return one leaf category, given as a member, its label or its name.

    Raises ValueError for a group and for an unknown label, TypeError for anything else.
    """
    found = combine("category", [category])
    if not found.is_leaf:
        near = next(iter(found)).label
        raise ValueError(f"category={found.label!r}: give one leaf, such as {near!r}; this is a group of {len(found)}")
    return found


def parse_severity(severity: object) -> Severity:
    """Return a severity, given as a member or its value. Raises ValueError for anything else."""
    try:
        return Severity(severity)
    except ValueError:
        known = ", ".join(repr(each.value) for each in Severity)
        raise ValueError(f"severity={severity!r}: give one of {known}") from None


def parse_wait(retry_after: object) -> float:
    """Return seconds of 0 or more, given as a number or a timedelta; a moment that has passed is 0.

    A whole number stays one: it is written into headers as it is. Raises TypeError for anything but a number.
    """
    seconds = retry_after
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    expected = "seconds (a number or a timedelta) of 0 or more"
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    require(is_number, "retry_after", seconds, expected, TypeError)
    wait = cast("float", seconds)
    require(isinstance(wait, int) or not math.isnan(wait), "retry_after", wait, expected, TypeError)
    return max(wait, 0)


def parse_details(details: object) -> dict[str, object]:
    """Return a copy of *details* as a dict. Raises TypeError unless it is a mapping."""
    require(isinstance(details, Mapping), "details", details, "a dict, such as {'item': 'lamp'}", TypeError)
    return dict(cast("Mapping[str, object]", details))


def safe_message(error: BaseException) -> str:
    """Return ``str(error)`` as a plain string, or a text that names its class where `__str__` fails. Never raises.

    This is the one way in which the toolkit reads the message of an exception. The text is complete, secrets included;
    `resilience.errors._json_safe.message_of` returns it as it may leave the process.

    >>> safe_message(KeyError("lamp"))
    "'lamp'"
    """
    try:
        return str.__str__(str(error))  # what `__str__` returns may be of a subclass, with methods of its own
    except Exception:
        return f"<{class_name(type(error))} whose message cannot be read>"


def safe_equal(one: object, other: object) -> bool:
    """Return whether two values are the same object or equal; False where they cannot be compared. Never raises."""
    try:
        return one is other or bool(one == other)
    except Exception:  # the comparison of an array has as many answers as members
        return False


def add_note(error: BaseException, note: str) -> None:
    """Add a note, also to an exception that forbids to set attributes, as one that is a frozen dataclass does."""
    notes: object = error.__dict__.get("__notes__")
    if not isinstance(notes, list):
        notes = []
    error.__dict__["__notes__"] = [*cast("list[str]", notes), note]
