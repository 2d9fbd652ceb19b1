"""How a call went: a value or an error."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from resilience.categories import ErrorCategory

__all__ = ["DEADLINE_EXCEEDED", "TIMED_OUT", "Outcome", "set_context", "set_traceback"]


class Outcome:
    """What a call came to: its *value*, or the *error* it raised (None when it succeeded).

    >>> Outcome(42).value
    42
    """

    __slots__ = ("category", "error", "value")

    def __init__(self, value: object = None, error: Exception | None = None) -> None:
        self.value: object = value
        self.error: Exception | None = error
        #: The category of the error once a policy has asked for it: see `category_of`.
        self.category: ErrorCategory | None = None

    @classmethod
    def failed(cls, error: Exception) -> Outcome:
        """Return the outcome of a call that raised *error*.

        >>> Outcome.failed(TimeoutError()).error
        TimeoutError()
        """
        return cls(None, error)

    def __repr__(self) -> str:
        # The type alone: a message or a value may hold what must not reach a log.
        what = "value" if self.error is None else type(self.error).__name__
        return f"<Outcome {what}>"


TIMED_OUT: Final = Outcome()
"""The driver's answer to a limited call that did not come back in time: told by identity, who fired is known."""

DEADLINE_EXCEEDED: Final = Outcome()
"""The same, where it is a deadline further out, inherited or in the same stack, that has passed first."""


# As the interpreter does it, and not by what the exception has of that name: one that is a frozen dataclass refuses.
set_context: Callable[[BaseException, BaseException | None], None] = BaseException.__dict__["__context__"].__set__
"""Say during the handling of which error another one was raised."""

set_traceback: Callable[[BaseException, TracebackType | None], object] = BaseException.with_traceback
"""Say where an error comes from."""
