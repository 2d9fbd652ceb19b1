"""The order in which calls that wait for a slot are served, and the one that leaves a full queue: by their priority.

The highest level is served first, and the lowest leaves first. Within a level tenants take turns, so that each gets as
many slots as the others while it has calls that wait; and the tenant with the most waiting calls has one evicted.
Within a tenant the order is that of the queue: oldest or newest first.

Where no waiting call has a priority of its own, `Slots` do without this.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Protocol

from resilience._priority_context import Rank

__all__ = ["Ranked", "Turns", "place_to_evict", "place_to_serve", "waiting_before"]

_MAX_TENANTS = 1024


class Ranked(Protocol):
    """A call that waits."""

    @property
    def rank(self) -> Rank: ...


class Turns:
    """The tenants by when one of their calls was served last: the one for which that is longest ago has the next turn.

    Of the tenants that were served it knows the last 1024. Any other counts as not served yet.
    """

    __slots__ = ("_served",)

    def __init__(self) -> None:
        self._served: OrderedDict[str | None, int] = OrderedDict()

    def next_of(self, tenants: set[str | None]) -> str | None:
        """Return the tenant of those whose turn it is; of several that were not served yet the first by name."""
        return min(tenants, key=lambda tenant: (self._served.get(tenant, 0), tenant or ""))

    def note(self, tenant: str | None) -> None:
        """Note that a call of *tenant* is served now."""
        last = next(reversed(self._served.values()), 0)
        self._served[tenant] = last + 1
        self._served.move_to_end(tenant)
        if len(self._served) > _MAX_TENANTS:
            self._served.popitem(last=False)


def place_to_serve(waiting: Sequence[Ranked], turns: Turns, *, newest_first: bool) -> int:
    """Return the place in the queue of the call that is served next; it takes the turn of its tenant."""
    level = max(call.rank.level for call in waiting)
    tenant = turns.next_of({call.rank.tenant for call in waiting if call.rank.level == level})
    return _place_of(waiting, level, tenant, last=newest_first)


def place_to_evict(waiting: Sequence[Ranked], newcomer: Rank, *, newest_first: bool) -> int | None:
    """Return the place in a full queue of the call that leaves it for a *newcomer*; None where that is refused itself.

    A call of a lower level leaves. Where there is none, one of a tenant that has two more calls waiting than the
    newcomer's has; and newest first the oldest of the newcomer's tenant, or of its level.
    """
    level = min(call.rank.level for call in waiting)
    if level > newcomer.level:
        return None
    tenants = Counter(call.rank.tenant for call in waiting if call.rank.level == level)
    (tenant, waits), *_ = tenants.most_common(1)
    if level < newcomer.level or waits > tenants[newcomer.tenant] + 1:
        return _place_of(waiting, level, tenant, last=not newest_first)
    if not newest_first:
        return None
    if newcomer.tenant in tenants:
        tenant = newcomer.tenant
    return _place_of(waiting, level, tenant, last=False)


def waiting_before(waiting: Sequence[Ranked], newcomer: Rank, *, newest_first: bool) -> int:
    """Return how many of the calls that wait are served before a *newcomer*."""
    above = sum(call.rank.level > newcomer.level for call in waiting)
    if newest_first:
        return above
    return above + sum(call.rank.level == newcomer.level for call in waiting)


def _place_of(waiting: Sequence[Ranked], level: int, tenant: str | None, *, last: bool) -> int:
    places = [at for at, call in enumerate(waiting) if (call.rank.level, call.rank.tenant) == (level, tenant)]
    return places[-last]
