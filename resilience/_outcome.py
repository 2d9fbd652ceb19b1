"""`Outcome`: the result of a call as a value that policies can pass on, a returned value or a raised error.

The runners catch what a function raises and hand policies an outcome, so that a policy has no ``try`` of its own. Two
outcomes stand for a time limit that has passed: they are compared by identity, since a TimeoutError of the function
itself is an error like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from resilience.categories import ErrorCategory

__all__ = ["DEADLINE_EXCEEDED", "TIMED_OUT", "Outcome", "set_context", "set_traceback"]


class Outcome:
    """The result of a call: its *value*, or the *error* it raised; *error* is None where it succeeded.

    >>> Outcome(42).value
    42
    """

    __slots__ = ("category", "error", "value")

    def __init__(self, value: object = None, error: Exception | None = None) -> None:
        self.value: object = value
        self.error: Exception | None = error
        #: The category of the error, once a policy has asked for it by `category_of`.
        self.category: ErrorCategory | None = None

    @classmethod
    def failed(cls, error: Exception) -> Outcome:
        """Return the outcome of a call that raised *error*.

        >>> Outcome.failed(TimeoutError()).error
        TimeoutError()
        """
        return cls(None, error)

    def __repr__(self) -> str:
        # The type alone: a message or a value may be secret.
        if self.error is None:
            return "<Outcome value>"
        return f"<Outcome {type(self.error).__name__}>"


TIMED_OUT: Final = Outcome()
"""The outcome of a call that exceeded its own time limit. Compared by identity."""

DEADLINE_EXCEEDED: Final = Outcome()
"""The outcome of a call that an outer deadline cut off, inherited or of the same stack. Compared by identity."""


# Of the base class: an exception that is a frozen dataclass refuses to set attributes.
set_context: Callable[[BaseException, BaseException | None], None] = BaseException.__dict__["__context__"].__set__
"""Set the context of an exception: the one that was being handled when it was raised."""

set_traceback: Callable[[BaseException, TracebackType | None], object] = BaseException.with_traceback
"""Set the traceback of an exception."""
