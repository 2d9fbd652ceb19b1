"""Context variables that are carried back from the thread or the task in which a part of a call has run.

A worker thread runs in a copy of the caller's context. What the user's code sets there stays there, as in any thread.
What the toolkit notes of the call, such as the report of `last_call`, belongs to the caller, who reads it when the call
has returned: `copy_back`.

A racing copy runs in a copy of the context as well. The caller has awaited the winner: all that the winner has set is
set for the caller, and what a loser has set is not: `adopt`.
"""

from __future__ import annotations

from contextvars import Context, ContextVar
from typing import Any, TypeVar

__all__ = ["adopt", "carried_back", "copy_back"]

T = TypeVar("T")

_carried: list[ContextVar[Any]] = []


def carried_back(variable: ContextVar[T]) -> ContextVar[T]:
    """Have *variable* carried back, and return it. None is what it has where it was not set."""
    _carried.append(variable)
    return variable


def copy_back(context: Context) -> None:
    """Set here what was set in *context*, in which a part of the call ran."""
    for variable in _carried:
        value = context.get(variable)
        if value is not None:
            variable.set(value)


def adopt(context: Context, before: Context) -> None:
    """Set here what was set in *context* since it was a copy of *before*, in place of what was set here since then.

    A variable that had no value *before* keeps the one it was given here, unless it was set in *context* too: it cannot
    be unset.
    """
    for variable, value in before.items():
        if variable.get(_MISSING) is not value:
            variable.set(value)
    for variable, value in context.items():
        if before.get(variable, _MISSING) is not value:
            variable.set(value)


_MISSING: Any = object()
