"""The deadline of the running code: a context variable that nested calls, threads and tasks inherit.

A limit or a deadline pushes an `ActiveDeadline`; every policy inside reads it to decide whether another attempt, a wait
or a call can still end in time. A deadline belongs to a clock: by another clock it has no meaning.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import CellType
from typing import NamedTuple

from resilience.clock import SYSTEM, Clock, TimeLimit, current_clock

__all__ = [
    "ActiveDeadline",
    "ActiveLimit",
    "DeadlineScope",
    "current_deadline",
    "current_deadline_any_clock",
    "current_deadline_unshielded",
    "deadline_or_inf",
    "deadlines_used",
    "leave_deadline",
    "limit_has_passed",
    "pop_deadline",
    "push_deadline",
    "remaining",
    "running_task",
]


class ActiveLimit:
    """The *timer* of an async limit while it is in force, for the tasks inside it; None before and after."""

    __slots__ = ("timer",)

    def __init__(self) -> None:
        self.timer: TimeLimit | None = None

    @property
    def passed(self) -> bool:
        """Whether its time has passed, while the block may still be ending."""
        return self.timer is not None and self.timer.passed


class ActiveDeadline(NamedTuple):
    """A moment of *clock*, and the task of asyncio or trio that is cancelled when it comes; None where none is.

    While a test's clock is in force there always is one, at infinity if nothing else: one look finds both.
    """

    moment: float
    clock: Clock
    task: object = None
    #: The position of that task among its cancel scopes: inside a shield the deadline does not hold.
    place: object = None
    #: What cancels that task, and the deadline of this context before this one.
    limit: ActiveLimit | None = None
    outer: ActiveDeadline | None = None


_due: ContextVar[ActiveDeadline | None] = ContextVar("resilience._deadline_context", default=None)


deadlines_used = CellType(False)
"""Whether this process has used a deadline, or a test's clock: never taken back.

A cell, which wrappers have in their closure: programs without deadlines do not even look for one in their context.
"""


current_deadline_any_clock: Callable[[], ActiveDeadline | None] = _due.get
"""Return the deadline of this context, by any clock; None without one."""


def current_deadline(clock: Clock) -> ActiveDeadline | None:
    """Return the deadline of this context by *clock*; None without one, for another clock's, and inside a shield."""
    due = _due.get()
    if due is None or due.clock is not clock or (due.task is not None and _is_shielded_from(due)):
        return None
    return due


def _is_shielded_from(due: ActiveDeadline) -> bool:
    from resilience._shields import is_shielded

    task = running_task()
    return task is not None and is_shielded(task, due.place)


def limit_has_passed() -> bool:
    """Whether a limit or deadline around the running task has passed, and cancels it.

    Not one outside of a shield: it does not end shielded code.
    """
    due = _due.get()
    while due is not None:
        if due.limit is not None and due.limit.passed and not _is_shielded_from(due):
            return True
        due = due.outer
    timers = sys.modules.get("resilience._asyncio_timeout")  # loaded with the first limit on an event loop
    return timers is not None and timers.has_passed_for_task()


def running_task() -> object:
    """Return the running task of asyncio or trio; None outside of tasks."""
    for library in ("asyncio", "trio.lowlevel"):
        loaded = sys.modules.get(library)
        if loaded is not None:
            try:
                task: object = loaded.current_task()
            except RuntimeError:  # no loop of it runs in this thread
                continue
            if task is not None:
                return task
    return None


def deadline_or_inf(clock: Clock) -> float:
    """Return the moment of the deadline by *clock*; infinity without one."""
    if _due.get() is None or (due := current_deadline(clock)) is None:
        return math.inf
    return due.moment


def current_deadline_unshielded(clock: Clock) -> ActiveDeadline | None:
    """Return the deadline for a context in which *clock* is about to be in force."""
    due = current_deadline(clock)
    if due is None and clock is not SYSTEM:
        return ActiveDeadline(math.inf, clock)
    return due


def push_deadline(due: ActiveDeadline | None) -> Token[ActiveDeadline | None]:
    """Set the deadline of this context, until `pop_deadline`."""
    deadlines_used.cell_contents = True
    return _due.set(due)


pop_deadline: Callable[[Token[ActiveDeadline | None]], None] = _due.reset
"""Set the deadline back that was in force before `push_deadline`."""


def leave_deadline() -> None:
    """Put no deadline in force, in a context of its own, for work that outlives the call that has begun it."""
    clock = current_clock()
    _due.set(None if clock is SYSTEM else ActiveDeadline(math.inf, clock))


class DeadlineScope:
    """One `push_deadline` and its `pop_deadline`, either of which an exception from a signal handler may interrupt.

    Put `begin` and `end` in one ``try``, and call `end` again in a ``finally`` around it: it completes what was
    interrupted, and does nothing otherwise. A deadline that stays in force would make every later call too late.

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
        """Put the deadline in force."""
        deadlines_used.cell_contents = True
        self._token = _due.set(self._due)

    def end(self) -> None:
        """Set the one before back, unless that has been done."""
        if _due.get() is not self._due or self._before is self._due:
            return
        if self._token is None:  # interrupted before the token could be kept
            _due.set(self._before)
        else:
            _due.reset(self._token)


def remaining() -> float | None:
    """Return the seconds that the running code has left, 0 or more; None where nothing limits it.

    The time is that of the earliest `deadline` or `timeout` around the running code. Pass it to clients that take a
    time limit of their own. Limits outside of a shielded cancel scope do not count: they do not end shielded code.

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
    if left == math.inf:
        return None
    return max(0.0, left)
