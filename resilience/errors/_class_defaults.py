"""Defaults of an error's attributes, computed when they are read.

Most errors are raised and caught without a look at their details or their severity. A default that is computed on
demand makes constructing an error cheap, and follows the profile table as it is when the attribute is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from resilience.categories import ErrorCategory, Severity
from resilience.profiles import profile_for

if TYPE_CHECKING:
    from resilience.errors.base import ResilienceError

__all__ = ["Default", "default_severity", "default_user_message"]


class Default:
    """A descriptor: the value of an attribute until the instance, or its class, sets another one.

    *compute* makes the value from the error. With *keep* it is computed once and stored on the instance, as a value
    that callers may change must be.
    """

    def __init__(self, compute: Callable[[ResilienceError], object], *, keep: bool = False) -> None:
        self._compute = compute
        self._keep = keep

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, error: ResilienceError | None, owner: type[ResilienceError]) -> object:
        if error is None:
            return self
        value = self._compute(error)
        if self._keep:
            error.__dict__[self._name] = value
        return value


def default_user_message(error: ResilienceError) -> str:
    """Return the sentence for users that belongs to the category of *error*."""
    from resilience.errors._user_messages import USER_MESSAGES

    return USER_MESSAGES[_leaf(error)]


def default_severity(error: ResilienceError) -> Severity:
    """Return the severity in the profile of the category of *error*."""
    return profile_for(_leaf(error)).severity


def _leaf(error: ResilienceError) -> ErrorCategory:
    from resilience.errors._user_messages import leaf_of

    return leaf_of(error.category)
