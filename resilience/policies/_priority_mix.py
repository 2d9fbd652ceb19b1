"""The part of a share of rejected calls that each priority and each tenant bears.

A throttle and a partial circuit reject a *share* of all calls. Of calls of several levels it is taken from the lowest
one, and from the next only where that is not enough. Within a level each tenant has as many calls admitted as the
others, if it makes as many: the one with the most calls bears the most.

Where no call says its priority, each bears the share itself.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable

from resilience._priority_context import LEVELS, Rank

__all__ = ["PriorityMix", "fair_quota"]

_MAX_CALLS = 1000
"""The number of calls from which on all counts are halved: those of the last ones count most."""
_MAX_TENANTS = 1024
_CALLS_PER_QUOTA = 16  # of a level, after which the quotas of its tenants are calculated anew


class _Level:
    """The calls of one level, by tenant; those of the tenant that was unused for longest are dropped first."""

    __slots__ = ("_quota", "_quota_age", "_quota_for", "calls", "tenants")

    def __init__(self) -> None:
        self.calls = 0.0
        self.tenants: OrderedDict[str | None, float] = OrderedDict()
        self._quota: float = 0.0
        self._quota_for: float = 0.0
        self._quota_age: int = 0

    def count(self, tenant: str | None) -> None:
        """Count a call of *tenant*."""
        self.calls += 1
        self.tenants[tenant] = self.tenants.get(tenant, 0.0) + 1
        self.tenants.move_to_end(tenant)
        if len(self.tenants) > _MAX_TENANTS:
            _, calls = self.tenants.popitem(last=False)
            self.calls -= calls

    def halve(self) -> None:
        """Let the calls so far count for half."""
        self.tenants = OrderedDict((tenant, calls / 2) for tenant, calls in self.tenants.items() if calls >= 1)
        self.calls = sum(self.tenants.values())

    def share_of(self, tenant: str | None, share: float) -> float:
        """Return the share of the calls of *tenant* to reject, where that of the level is *share*."""
        if len(self.tenants) < 2:
            return share
        quota = self._quota_at(share)
        return max(0.0, 1.0 - quota / self.tenants[tenant])

    def _quota_at(self, share: float) -> float:
        """Return how many calls of a tenant are admitted at most. It changes slowly: it is not calculated each time."""
        self._quota_age -= 1
        if self._quota_age < 0 or share != self._quota_for:
            self._quota = fair_quota(self.tenants.values(), (1.0 - share) * self.calls)
            self._quota_age, self._quota_for = _CALLS_PER_QUOTA, share
        return self._quota


class PriorityMix:
    """The last calls by level and tenant. Its owner's lock protects it.

    >>> mix = PriorityMix()
    >>> for _ in range(100):
    ...     found = [mix.share_for(rank, 0.4) for rank in (Rank(0), Rank(1))]
    >>> [f"{share:.2f}" for share in found]
    ['0.80', '0.00']
    """

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        self._levels: list[_Level] = []

    def clear(self) -> None:
        """Forget the calls: nothing is rejected."""
        self._levels = []

    def share_for(self, rank: Rank, share: float) -> float:
        """Return the share of the calls of that *rank* to reject, and count one; *share* is that of all calls."""
        levels = self._levels = self._levels or [_Level() for _ in LEVELS]
        own = levels[rank.level]
        own.count(rank.tenant)
        if sum(level.calls for level in levels) > _MAX_CALLS:
            for level in levels:
                level.halve()
        below = sum(level.calls for level in levels[: rank.level])
        above = sum(level.calls for level in levels[rank.level + 1 :])
        # (share * all - below) / own, which is exactly the share where there are no others.
        of_level = share + (share * (below + above) - below) / own.calls
        return own.share_of(rank.tenant, min(max(of_level, 0.0), 1.0))


def fair_quota(demands: Iterable[float], admitted: float) -> float:
    """Return how much each may have at most, for *admitted* in all: those with a smaller demand have all of it.

    >>> fair_quota([10, 50, 100], 90)
    40.0
    """
    ascending = sorted(demands)
    for served, demand in zip(itertools.count(), ascending, strict=False):
        fair = admitted / (len(ascending) - served)
        if demand > fair:
            return fair
        admitted -= demand
    return ascending[-1]
