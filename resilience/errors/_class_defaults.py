"""What an error has of itself, where nothing else was said."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from resilience.categories import ErrorCategory, Severity
from resilience.profiles import profile_for

if TYPE_CHECKING:
    from resilience.errors.base import ResilienceError

__all__ = ["Default", "sentence_for", "severity_of"]


class Default:
    """What an error has while nothing else was put there: worked out when asked, so that making one costs nothing."""

    def __init__(self, make: Callable[[ResilienceError], object], *, kept: bool = False) -> None:
        self.make = make
        self.kept = kept

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, error: ResilienceError | None, owner: type[ResilienceError]) -> object:
        if error is None:
            return self
        found = self.make(error)
        if self.kept:
            error.__dict__[self.name] = found
        return found


def sentence_for(error: ResilienceError) -> str:
    """Return what may be said to a user of an error of this category."""
    from resilience.errors._user_messages import USER_MESSAGES

    return USER_MESSAGES[_leaf(error)]


def severity_of(error: ResilienceError) -> Severity:
    """Return how loud an error of this category is."""
    return profile_for(_leaf(error)).severity


def _leaf(error: ResilienceError) -> ErrorCategory:
    from resilience.errors._user_messages import leaf_of

    return leaf_of(error.category)
