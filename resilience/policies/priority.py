"""Priorities: which calls go first where load is shed, and for which tenant they are made."""

from __future__ import annotations

from types import TracebackType
from typing import Literal, TypeAlias

from resilience._priority_context import LEVELS, pop_rank, push_rank
from resilience._validation import require, require_choice

__all__ = ["Level", "priority"]

Level: TypeAlias = Literal["sheddable", "normal", "critical"]
"""The level of a call: sheddable calls are shed first, critical ones last."""


class priority:  # noqa: N801  # reads as a preposition where it is used: with priority("critical")
    """Give the calls in a ``with`` block a priority, in sync and async code.

    Where a policy has to shed load, it sheds calls of the lower level first, and those of a tenant that uses more than
    its share before those of the others. It holds for this thread or task, and for the tasks and threads that the block
    starts, as any context variable does. The innermost block counts.

    * `bulkhead` and `adaptive_limit`: of the calls that wait for a slot, those of the highest level are served first.
      Where the queue is full, a call of a lower level leaves it.
    * `throttle` and ``circuit_breaker(partial=True)``: the share that is rejected is taken from the lowest level, and
      from the next one only where that is not enough.

    Tenants share what a level gets. In a queue they take turns; of a share that is rejected those with the most calls
    bear most, so that each has as many calls admitted as the others, if it makes as many. The 1024 tenants that were
    served last are known, and others count as not served yet. A `rate_limit` does not read priorities: calls get their
    turn in the order in which they come.

    Args:
        level: "sheddable", "normal" or "critical". Calls outside of any block are normal.
        tenant: the user, customer or job that the calls are made for, by name; unless given, that of the enclosing
            block. Calls without a tenant are those of one tenant.

    Raises TypeError or ValueError for another level, and for a tenant that is no text.

    >>> from resilience import bulkhead
    >>> @bulkhead("stock", 20)
    ... def stock(item: str) -> int:
    ...     return 7
    >>> with priority("sheddable", tenant="nightly report"):
    ...     stock("lamp")
    7
    """

    __slots__ = ("level", "tenant")

    def __init__(self, level: Level, *, tenant: str | None = None) -> None:
        self.level: Level = level
        require_choice("level", level, LEVELS)
        expected = "the tenant's name as text, such as 'acme'"
        require(tenant is None or isinstance(tenant, str), "tenant", tenant, expected, TypeError)
        self.tenant: str | None = tenant

    def __enter__(self) -> None:
        push_rank(LEVELS.index(self.level), self.tenant)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pop_rank()

    def __repr__(self) -> str:
        tenant = ""
        if self.tenant is not None:
            tenant = f", tenant={self.tenant!r}"
        return f"priority({self.level!r}{tenant})"
