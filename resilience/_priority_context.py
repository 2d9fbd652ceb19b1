"""The priority of the running code: a context variable that nested calls, threads and tasks inherit.

`resilience.priority` sets it. What sheds load reads it: the queue of `Slots`, and the share that a throttle or a
partial circuit rejects.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

__all__ = ["LEVELS", "NORMAL", "Rank", "current_rank", "pop_rank", "push_rank"]

LEVELS = ("sheddable", "normal", "critical")
"""The names of the levels, the one that is shed first at the beginning."""


class Rank:
    """The *level* of a call, 0 being shed first, and the *tenant* that it is made for; *outer* is the enclosing one."""

    __slots__ = ("level", "outer", "tenant")

    def __init__(self, level: int, tenant: str | None = None, outer: Rank | None = None) -> None:
        self.level: int = level
        self.tenant: str | None = tenant
        self.outer: Rank | None = outer

    @property
    def is_plain(self) -> bool:
        """Whether it is that of code which says nothing of its priority."""
        return self.level == NORMAL.level and self.tenant is None


NORMAL = Rank(LEVELS.index("normal"))

_rank: ContextVar[Rank] = ContextVar("resilience.priority", default=NORMAL)

current_rank: Callable[[], Rank] = _rank.get
"""Return the rank of the running code; `NORMAL` outside of any block."""


def push_rank(level: int, tenant: str | None) -> None:
    """Give the running code *level*, and *tenant*; without one it keeps that of the enclosing block."""
    outer = current_rank()
    if tenant is None:
        tenant = outer.tenant
    _rank.set(Rank(level, tenant, outer))


def pop_rank() -> None:
    """Give the running code the rank of the enclosing block again.

    The block is found in the context, and not kept by what has entered it: one object may be entered by many tasks.
    """
    _rank.set(current_rank().outer or NORMAL)
