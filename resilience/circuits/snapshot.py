"""What is to be known of the circuits, ready for JSON and for a health endpoint."""

from __future__ import annotations

from typing import TypedDict

from resilience.circuits.breaker import CircuitBreaker
from resilience.circuits.registry import REGISTRY
from resilience.clock import current_clock

__all__ = ["CircuitSnapshot", "snapshot"]


class CircuitSnapshot(TypedDict):
    """One circuit. Times are seconds; *since* counts from 1970.

    *calls*, *failed* and *slow* are those of the window, and *failure_rate* and *slow_rate* their share of it: None
    without one. *next_probe* is when an open circuit lets somebody through, from now.
    """

    name: str
    key: str | None
    state: str
    mode: str
    since: float
    failures_in_a_row: int
    calls: int | None
    failed: int | None
    slow: int | None
    failure_rate: float | None
    slow_rate: float | None
    last_category: str | None
    next_probe: float | None
    probes: int
    probe_successes: int


def snapshot() -> list[CircuitSnapshot]:
    """Return what is to be known of every circuit of this process, by name and key; nothing secret, all of it JSON.

    Of circuits that are kept by key, or for each object, there is one entry for each that is there.
    """
    found = [_of(breaker, None) for breaker in REGISTRY if not breaker.has_others]
    found += [_of(other, key) for breaker in REGISTRY for key, other in breaker.others()]
    return sorted(found, key=lambda circuit: (circuit["name"], circuit["key"] or ""))


def _of(breaker: CircuitBreaker, key: object) -> CircuitSnapshot:
    circuit, state, now = breaker.circuit, breaker.state, current_clock().now()
    share = circuit.share(now)
    waits = state.kind.value == "open" and state.until != float("inf")
    return CircuitSnapshot(
        name=breaker.name,
        key=None if key is None else str(key),
        state=state.kind.value,
        mode=circuit.mode.value,
        since=circuit.since,
        failures_in_a_row=state.in_a_row,
        calls=None if share is None else share.calls,
        failed=None if share is None else share.failed,
        slow=None if share is None else share.slow,
        failure_rate=share.failed / share.calls if share is not None and share.calls else None,
        slow_rate=share.slow / share.calls if share is not None and share.calls else None,
        last_category=None if circuit.category is None else circuit.category.label,
        next_probe=max(state.until - now, 0.0) if waits else None,
        probes=breaker.probes_on_the_way,
        probe_successes=breaker.success_counter,
    )
