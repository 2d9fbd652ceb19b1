"""Until when what runs here must be over: a moment that nested calls, threads and tasks inherit."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import NamedTuple

from resilience.clock import SYSTEM, Clock, current_clock

__all__ = [
    "ActiveDeadline",
    "DeadlineScope",
    "current_deadline",
    "current_deadline_any_clock",
    "current_deadline_unshielded",
    "deadline_or_inf",
    "pop_deadline",
    "push_deadline",
    "remaining",
    "running_task",
]


class ActiveDeadline(NamedTuple):
    """A moment of *clock*, and the task (of asyncio) that is cancelled when it comes; None where no task is.

    With a test's clock in force there always is one, of infinity at least: what has to look for both looks here.
    """

    moment: float
    clock: Clock
    task: object = None
    #: Where that task was among its cancel scopes: in a shield further in the moment means nothing.
    place: object = None


_due: ContextVar[ActiveDeadline | None] = ContextVar("resilience._deadline_context", default=None)


current_deadline_any_clock: Callable[[], ActiveDeadline | None] = _due.get
"""Return what is in force here, by whatever clock."""


def current_deadline(clock: Clock) -> ActiveDeadline | None:
    """Return what is in force here, by *clock*; a moment of another clock means nothing."""
    due = _due.get()
    if due is None or due.clock is not clock or (due.task is not None and _is_shielded_from(due)):
        return None
    return due


def _is_shielded_from(due: ActiveDeadline) -> bool:
    from resilience._shields import is_shielded

    task = running_task()
    return task is not None and is_shielded(task, due.place)


def running_task() -> object:
    """Return the task that runs here, asyncio's or trio's; None outside of any."""
    for library in ("asyncio", "trio.lowlevel"):
        loaded = sys.modules.get(library)
        if loaded is not None:
            try:
                task: object = loaded.current_task()
            except RuntimeError:  # it does not run here
                continue
            if task is not None:
                return task
    return None


def deadline_or_inf(clock: Clock) -> float:
    """Return the moment in force here, infinity where there is none."""
    if _due.get() is None or (due := current_deadline(clock)) is None:
        return math.inf
    return due.moment


def current_deadline_unshielded(clock: Clock) -> ActiveDeadline | None:
    """Return what is in force once *clock* is, which has not been till now."""
    due = current_deadline(clock)
    return ActiveDeadline(math.inf, clock) if due is None and clock is not SYSTEM else due


def push_deadline(due: ActiveDeadline | None) -> Token[ActiveDeadline | None]:
    """Put *due* in force in this context, until `pop_deadline`."""
    return _due.set(due)


def pop_deadline(token: Token[ActiveDeadline | None]) -> None:
    """Take back what was announced."""
    _due.reset(token)


class DeadlineScope:
    """One `push_deadline` and its `pop_deadline`, either of which an exception from a signal handler may interrupt.

    Put `begin` and `end` in one ``try``, and call `end` again in a ``finally`` around it. It does what has been left
    undone, and nothing otherwise: a moment that stays announced makes every later call too late, once it has passed.

    >>> scope = DeadlineScope(ActiveDeadline(5.0, current_clock()))
    >>> scope.begin()
    >>> scope.end()
    >>> scope.end()
    >>> current_deadline_any_clock() is None
    True
    """

    __slots__ = ("_before", "_due", "_token")

    def __init__(self, due: ActiveDeadline) -> None:
        self._due = due
        self._before = _due.get()
        self._token: Token[ActiveDeadline | None] | None = None

    def begin(self) -> None:
        """Announce it."""
        self._token = _due.set(self._due)

    def end(self) -> None:
        """Withdraw it, unless it is withdrawn."""
        if _due.get() is not self._due or self._before is self._due:
            return
        if self._token is None:  # interrupted before the token could be kept
            _due.set(self._before)
        else:
            _due.reset(self._token)


def remaining() -> float | None:
    """Return the seconds left to what runs here, never less than 0; None where no time is set.

    What the innermost of all `deadline` and `timeout` around the running code leaves: hand it to clients that take a
    time limit of their own. Of those outside a shielded cancel scope it leaves nothing to tell: they do not end what is
    shielded.

    >>> from resilience import deadline, remaining
    >>> from resilience.testing import virtual_time
    >>> with virtual_time() as clock, deadline(5):
    ...     clock.advance(2)
    ...     remaining()
    3.0
    >>> remaining() is None
    True
    """
    clock = current_clock()
    left = deadline_or_inf(clock) - clock.now()
    timer = sys.modules.get("resilience._asyncio_timeout")  # loaded with the first limit on an event loop
    if clock is SYSTEM and timer is not None:
        left = min(left, timer.remaining_for_task())
    return None if left == math.inf else max(0.0, left)
