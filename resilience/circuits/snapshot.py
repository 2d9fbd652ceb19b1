"""What is to be known of the circuits, ready for JSON and for a health endpoint."""

from __future__ import annotations

import math
from typing import TypedDict

from resilience.circuits.breaker import CircuitBreaker
from resilience.circuits.registry import REGISTRY
from resilience.clock import current_clock
from resilience.policies.circuit_states import Open

__all__ = ["CircuitSnapshot", "snapshot", "snapshot_of"]


class CircuitSnapshot(TypedDict):
    """One circuit. Times are seconds; *since*, when it came to its state, counts from 1970.

    *key* is ``str()`` of the circuit's key, or the class and address of its object. *pattern* is ``key`` or
    ``instance`` where the circuit is the pattern of such: it counts what has no object, such as class methods.

    *calls*, *failed* and *slow* are those of the window of a closed circuit, failures by weight; *failure_rate* and
    *slow_rate* are their share, at most 1. None without a window. *next_probe* is when an open circuit lets somebody
    through, from now; None when it is not open, or until `CircuitBreaker.reset`. *probes* are on the way.
    """

    name: str
    key: str | None
    pattern: str | None
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
    """Return what is to be known of every circuit of this process, by name and key, ready for JSON.

    Of circuits that are kept by key, or for each object, there is an entry for the pattern and one for each that is
    there. Nothing of a call is in it, but the keys as text: make no secret a key.
    """
    found = [entry for breaker in REGISTRY for entry in snapshot_of(breaker)]
    return sorted(found, key=lambda circuit: (circuit["name"], circuit["key"] or ""))


def snapshot_of(breaker: CircuitBreaker) -> list[CircuitSnapshot]:
    """Return what is to be known of one circuit and, where it is a pattern, of those made after it."""
    return [_of(breaker, None), *(_of(other, _shown(key)) for key, other in breaker.others())]


def _shown(key: object) -> str:
    try:
        return str(key)
    except Exception:  # a key of the user's own; the others are to be seen all the same
        return f"a {type(key).__qualname__}"


def _of(breaker: CircuitBreaker, key: str | None) -> CircuitSnapshot:
    circuit = breaker.circuit
    with circuit._lock:  # all of one moment
        now = current_clock().now()
        state, mode, since, category = circuit.state, circuit.mode, circuit.since, circuit.category
        share = circuit.window_snapshot(now)
        failures, probes, successes = state.consecutive_failures, breaker.probes_on_the_way, breaker.success_counter
    waits = isinstance(state, Open) and state.until != math.inf
    return CircuitSnapshot(
        name=breaker.name,
        key=key,
        pattern=breaker.pattern,
        state=state.kind.value,
        mode=mode.value,
        since=since,
        failures_in_a_row=failures,
        calls=None if share is None else share.calls,
        failed=None if share is None else share.failed,
        slow=None if share is None else share.slow,
        # By weight, two failures may be six of four calls.
        failure_rate=min(share.failed / share.calls, 1.0) if share is not None and share.calls else None,
        slow_rate=share.slow / share.calls if share is not None and share.calls else None,
        last_category=None if category is None else category.label,
        next_probe=max(state.until - now, 0.0) if waits else None,
        probes=probes,
        probe_successes=successes,
    )
