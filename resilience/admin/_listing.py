"""Documents that an admin application shows: plain data of circuits, calls, targets and configuration.

Each function returns one document, ready for JSON, and changes nothing. Those of circuits and calls have the time and
the process in them, by `stamp`.

Listing ten thousand circuits of keys takes some milliseconds: each is looked at without its lock, and only those that
are shown are taken down whole. So a document is no snapshot of one moment, but each entry of it is consistent.
"""

from __future__ import annotations

import math
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from resilience._runtime.description import ClassDescription, Description, describe
from resilience._runtime.worst_case import WorstCase
from resilience.admin._actions import Hands
from resilience.admin._messages import Refusal
from resilience.circuits import CircuitBreaker, CircuitMode, CircuitState, all_circuits
from resilience.circuits._registry import full_name
from resilience.circuits._snapshot import entry_of, key_text
from resilience.clock import current_clock
from resilience.metrics._call_stats import CALL_STATS
from resilience.metrics.definitions import BOUNDS
from resilience.policies.linting import lint

if TYPE_CHECKING:
    from resilience.config import Policies

__all__ = ["calls", "circuits", "configuration", "explanation", "health", "stamp"]

_CLOSED, _NORMAL = CircuitState.CLOSED, CircuitMode.NORMAL


def circuits(hands: Hands, *, name: str = "", limit: int = 200) -> dict[str, object]:
    """Return the circuits, those that are not closed or were set by hand first; at most *limit* of them.

    Args:
        hands: what was set by hand, to show it with its author and reason.
        name: a part of the name or key that the circuits shown have; empty for all.
        limit: the most circuits to show.

    ``total`` and ``counts`` are of all circuits, whatever *name* and *limit* are: by the mode set by hand, else by
    state.
    """
    names = Counter(breaker.name for breaker in all_circuits())
    notable: list[tuple[str, CircuitBreaker, str | None]] = []
    others: list[tuple[str, CircuitBreaker, str | None]] = []
    counts: Counter[str] = Counter()
    total = 0
    now = current_clock().now()
    for shown, breaker, key in _all(names):
        total += 1
        circuit = breaker.circuit
        state = circuit.state_at(now)
        counts[_label(state, circuit.mode)] += 1
        if name and name not in shown and name not in (key or ""):
            continue
        if state is not _CLOSED or circuit.mode is not _NORMAL or circuit.shed_share(now):
            notable.append((shown, breaker, key))
        elif len(others) < limit:
            others.append((shown, breaker, key))
    entries = [_entry(*each, hands) for each in (*notable, *others)[:limit]]
    return {**stamp(), "total": total, "counts": dict(counts), "circuits": entries}


def _label(state: CircuitState, mode: CircuitMode) -> str:
    if mode is _NORMAL:
        return state.value
    return mode.value


def _all(names: Mapping[str, int]) -> Iterator[tuple[str, CircuitBreaker, str | None]]:
    """Yield each circuit with the name it is shown by, and its key."""
    for breaker in all_circuits():
        shown = full_name(breaker) if names[breaker.name] > 1 else breaker.name
        yield shown, breaker, None
        for key, child in breaker._circuits.pairs():
            yield shown, child, key if type(key) is str else key_text(key)


def _entry(shown: str, breaker: CircuitBreaker, key: str | None, hands: Hands) -> dict[str, object]:
    """Return a circuit as it is shown: its snapshot, the fleet that shares it, and what was set by hand."""
    entry: dict[str, object] = {**entry_of(breaker, key), "name": shown}
    entry["opens"] = breaker.circuit.state.consecutive_opens
    fleet = hands.fleet_of(breaker)
    if fleet is not None:
        entry["fleet"] = fleet
    hold = hands.of(breaker, shown, key)
    if hold is not None:
        entry["hold"] = {"action": hold.action, "until": hold.until, "by": hold.by, "why": hold.why}
    return entry


def calls() -> dict[str, object]:
    """Return the calls of tracked functions since the start: how many ended how, and their seconds in all.

    ``durations`` counts them by how long they took: up to the first of the ``bounds`` in seconds, up to the second, and
    so on; the last number is of those that took longer.
    """
    found: list[dict[str, object]] = []
    for stats in CALL_STATS:
        totals = stats.totals()
        found.append(
            {
                "target": stats.target,
                "succeeded": totals.success.calls,
                "failed": totals.failure.calls,
                "cancelled": totals.cancelled,
                "seconds": round(totals.success.seconds + totals.failure.seconds, 6),
                "durations": totals.success.merged(totals.failure).counts,
            }
        )
    return {**stamp(), "bounds": BOUNDS, "calls": found}


def health() -> dict[str, object]:
    """Return what a readiness check may show: it lists circuits that are not closed, and is never unhealthy for them.

    A service whose dependency is down can still answer, by its fallbacks; taking it out of service would make one
    outage two.
    """
    now = current_clock().now()
    names = Counter(breaker.name for breaker in all_circuits())
    found = [
        {"name": shown, "key": key, "state": breaker.circuit.state_at(now).value, "mode": breaker.mode.value}
        for shown, breaker, key in _all(names)
        if breaker.circuit.state_at(now) is not _CLOSED or breaker.mode is not _NORMAL
    ]
    return {"status": "ok", "not_closed": found[:100], "not_closed_total": len(found)}


def explanation(target: str) -> dict[str, object]:
    """Return the policies around a function of a module that is imported, its worst case, and what `lint` finds.

    *target* is its name in events: ``shop.clients.search``. Raises `Refusal` where there is none. Nothing is imported.
    """
    value: object = _find(target)
    description: Description | ClassDescription = describe(value)
    worst = getattr(description, "worst", None)
    return {
        "target": target,
        "text": str(description),
        "policies": list(getattr(description, "policies", ())),
        "worst": _worst(worst),
        "findings": [{"rule": finding.rule, "message": finding.message} for finding in lint(value)],
    }


def _worst(worst: WorstCase | None) -> dict[str, object] | None:
    if worst is None:
        return None
    return {"calls": _finite(worst.calls), "seconds": _finite(worst.seconds), "text": str(worst)}


def _find(target: str) -> object:
    """Return the function that *target* names, of a module that is imported.

    The longest prefix that is a module wins. It looks into the dicts of classes and modules, and does not call
    ``getattr``: a request must not run code of the program, such as a property or a module's ``__getattr__``.
    """
    parts = target.replace(":", ".").split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = sys.modules.get(".".join(parts[:length]))
        if module is None:
            continue
        value: object = module
        for name in parts[length:]:
            value = vars(value).get(name) if hasattr(value, "__dict__") else None
        if callable(value):
            return value
    raise Refusal(404, f"no function {target!r} in a module that is imported: give its name as events have it")


def configuration(policies: Policies | None) -> dict[str, object]:
    """Return all options with their values and origins, by name; none where there are no *policies*."""
    if policies is None:
        return {"source": None, "policies": {}}
    return {
        "source": str(policies.path) if policies.path else "code",
        "policies": {
            name: {option: {"value": _text(each.value), "origin": each.origin} for option, each in options.items()}
            for name, options in policies.options().items()
        },
    }


def _text(value: object) -> object:
    """Return a value of an option for JSON: numbers as they are, categories by label, all else as text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(getattr(value, "label", value))


def _finite(number: float) -> float | None:
    """Return a number for JSON, which has no infinity: None stands for it."""
    return number if math.isfinite(number) else None


def stamp() -> dict[str, object]:
    """Return the time, in seconds since 1970, and the id of the process, for an answer."""
    return {"at": round(current_clock().wall(), 3), "pid": os.getpid()}
