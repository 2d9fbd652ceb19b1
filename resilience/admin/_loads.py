"""Documents of the load of limits: bulkheads, adaptive limits, rate limits, throttles, and the budgets of retries.

Each entry has the *kind* and the *name* of a policy, and what its ``snapshot()`` says. Those under load come first: a
limit that is full must be seen among hundreds.

``load`` makes kinds comparable: 0 for an idle policy, 1 for one at its limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from resilience.policies.adaptive_limit import adaptive_limits
from resilience.policies.bulkhead import bulkheads
from resilience.policies.rate_limit import rate_limits
from resilience.policies.retry_budget import RetryBudget, retry_budgets
from resilience.policies.throttle import throttles

__all__ = ["budget_loads", "bulkhead_loads", "limit_loads"]

_MAX_SHOWN = 500

Entry = dict[str, object]


class _Loaded(Protocol):
    """A policy that has a name and says its load."""

    name: str

    def snapshot(self) -> Any: ...


def bulkhead_loads() -> dict[str, object]:
    """Return the bulkheads: of how many calls at a time so many are in flight, wait, and were rejected."""
    return _listed("bulkheads", [_entry("bulkhead", each) for each in bulkheads()])


def limit_loads() -> dict[str, object]:
    """Return adaptive limits, rate limits and throttles."""
    entries = [_entry("adaptive_limit", each) for each in adaptive_limits()]
    entries += [_entry("rate_limit", each) for each in rate_limits()]
    entries += [_entry("throttle", each) for each in throttles()]
    return _listed("limits", entries)


def budget_loads() -> dict[str, object]:
    """Return the retry budgets: of how many tokens so many are left, and the retries a second of the reserve."""
    return _listed("budgets", [_budget(each) for each in retry_budgets()])


def _entry(kind: str, policy: _Loaded) -> Entry:
    """Return a policy as it is shown: its kind, its name, its snapshot, and its ``load``, to four digits."""
    entry: Entry = {"kind": kind, "name": policy.name}
    entry.update({field: _finite(value) for field, value in policy.snapshot().items()})
    return {**entry, "load": round(_LOADS[kind](entry), 4)}


def _budget(budget: RetryBudget) -> Entry:
    left = budget.left()
    entry: Entry = {"kind": "retry_budget", "name": budget.name, "left": left, "tokens": budget.tokens}
    return {**entry, "reserve": budget.reserve, "load": round(1 - left / budget.tokens, 4)}


def _taken(entry: Mapping[str, Any]) -> float:
    """Return the share of the slots that are taken."""
    return float(entry["in_flight"] / entry["limit"])


def _spent(entry: Mapping[str, Any]) -> float:
    """Return the share of the burst that is spent; a debt is no more than all of it."""
    return float(1 - max(0.0, entry["available"]) / entry["burst"])


def _rejected(entry: Mapping[str, Any]) -> float:
    """Return the share of the calls that is rejected."""
    return float(entry["share"])


_LOADS: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
    "bulkhead": _taken,
    "adaptive_limit": _taken,
    "rate_limit": _spent,
    "throttle": _rejected,
}
"""The share of a policy that is used up, by its kind: at 1 a further call waits, or is rejected."""


def _listed(what: str, entries: Iterable[Entry]) -> dict[str, object]:
    """Return entries, the fullest first, then by name; at most 500 of them, and how many there are."""
    ordered = sorted(entries, key=_by_load)
    return {what: ordered[:_MAX_SHOWN], "total": len(ordered)}


def _by_load(entry: Entry) -> tuple[bool, float, str]:
    """Return the key by which entries are sorted: those with waiting calls first, then by load, then by name."""
    load = float(str(entry["load"]))
    return not entry.get("queued"), -load, str(entry["name"])


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
