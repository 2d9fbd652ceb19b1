"""The guarded calls that the running code belongs to, for circuits, which must not count a part of a call as a call.

A call that a circuit admits as a probe, or as the outermost call of a class that it guards, is noted in a context
variable while its body runs: in this context, and in the tasks and threads that copy it. What the body calls through
the same circuit belongs to that call: it passes and decides nothing. A generator is noted only while its own code
runs, never while its consumer's does.

The note of a call is a list. Its first item is what admitted the call, None once that has ended: the state object of
the circuit or a probe's permit, so that the call stands for its circuit only until the next transition; for local
methods of a class the selection of its guarded ones; for a call that holds a slot the `Slots`. It is a list, and
wrappers of `fast_path_template` write and end the note by themselves, because each call through a guarded class makes
one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from operator import itemgetter
from typing import Any, TypeAlias

__all__ = [
    "Note",
    "Permit",
    "calls_here",
    "enter",
    "entered",
    "innermost_permit",
    "is_part_of",
    "leave",
    "reenter",
    "restore",
    "running_calls",
    "running_permits",
    "still_running",
]

Note: TypeAlias = list[Any]
Permit: TypeAlias = Note
"""A list for one call, in which a limiter notes what it gave: its first item is None unless the call holds something.

Two more items are the limiter's own. `Slots` keep in them the permit of the call around it, and when it began.
"""

running_calls: ContextVar[tuple[Note, ...]] = ContextVar("resilience.circuits", default=())

#: The permit of the innermost call on the fast path that the running code belongs to. It, and those that it leads to by
#: its second item, may have ended. To set it costs half of what a tuple of all of them would.
innermost_permit: ContextVar[Permit | None] = ContextVar("resilience.permits", default=None)

#: The calls that the running code belongs to, the outermost first. Some may have ended.
calls_here: Callable[[], tuple[Note, ...]] = running_calls.get

_is_running = itemgetter(0)


def still_running(calls: Iterable[Note]) -> tuple[Note, ...]:
    """Return those of *calls* that have not ended.

    Tasks and threads that a call starts go on to have its note after its end.
    """
    return tuple(filter(_is_running, calls))


def enter(by: object) -> Note:
    """Note a call that was admitted *by* that, until `leave`."""
    call = [by]
    running_calls.set((*still_running(running_calls.get()), call))
    return call


def running_permits(permit: Permit | None) -> Permit | None:
    """Return the innermost of *permit* and those that it leads to which has not ended, and take the ended ones out.

    So they do not pile up where each call starts a task that outlives it.
    """
    found = inner = _first_running(permit)
    while inner is not None:
        inner[1] = _first_running(inner[1])
        inner = inner[1]
    return found


def _first_running(permit: Permit | None) -> Permit | None:
    while permit is not None and permit[0] is None:
        permit = permit[1]
    return permit


def is_part_of(by: object) -> bool:
    """Whether the running code belongs to a call that was admitted *by* that, and that has not ended."""
    permit = innermost_permit.get()
    while permit is not None:
        if permit[0] is by:
            return True
        permit = permit[1]
    return any(call[0] is by for call in calls_here())


def leave(call: Note) -> None:
    """Note that *call* has ended, in every context that knows of it."""
    call[0] = None
    # When the interpreter ends, the names of a module are gone before its last generators.
    if running_calls is not None:  # pyright: ignore[reportUnnecessaryComparison]
        running_calls.set(still_running(running_calls.get()))


@contextmanager
def entered(admitted_by: Iterable[object]) -> Generator[None]:
    """Note calls that were admitted by each of those, while a ``with`` block runs."""
    calls = [enter(each) for each in admitted_by]
    try:
        yield
    finally:
        for call in calls:
            leave(call)


def reenter(calls: Iterable[Note]) -> tuple[Note, ...]:
    """Have the running code belong to *calls*, too; return what it belonged to before, for `restore`."""
    before = running_calls.get()
    running_calls.set((*before, *calls))
    return before


def restore(before: tuple[Note, ...]) -> None:
    """Have the running code belong to what it belonged to before `reenter`."""
    running_calls.set(before)
