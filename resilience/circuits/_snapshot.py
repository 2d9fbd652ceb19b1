"""Snapshots of circuits: plain dicts, ready for JSON and for a health endpoint.

A snapshot is a copy: it changes no circuit and stays as it is. Metrics, the command line and health endpoints all read
circuits by it.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, TypedDict

from resilience.categories import ErrorCategory
from resilience.circuits._registry import full_name
from resilience.circuits.breaker import REGISTRY, CircuitBreaker
from resilience.clock import current_clock
from resilience.policies._sliding_window import WindowSnapshot

__all__ = ["CircuitSnapshot", "entry_of", "key_text", "snapshot", "snapshot_of"]


class CircuitSnapshot(TypedDict):
    """One circuit. Times are seconds; *since*, when it entered its state, counts from 1970.

    *key* is ``str()`` of the circuit's key, or the class and address of its object. *pattern* is ``key`` or
    ``instance`` where circuits are made after this one: it counts what has no object, such as class methods.

    *state* is ``half_open`` as soon as the next call would be a probe. *calls*, *failed* and *slow* are those of the
    window of a closed circuit, failures by weight; *failure_rate* and *slow_rate* are their share, at most 1. None
    without a window. *next_probe* is when an open circuit admits a probe, from now; None when it is not open, or until
    `CircuitBreaker.reset`. *probes* are in flight. *shed* is the share of calls that a circuit with ``partial=True``
    rejects: 1 while it is not closed; None for all others.
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
    shed: float | None


def snapshot() -> list[CircuitSnapshot]:
    """Return a snapshot of every circuit of this process, by name and key, ready for JSON.

    Where several circuits have one name, each has the module in front that made it: ``shop.clients.billing``.
    Of circuits per key, or per object, there is an entry for the one they are made after, and one for each that exists.
    A snapshot holds nothing of a call, but the keys as text: make no secret a key.
    """
    breakers = list(REGISTRY)
    names = Counter(breaker.name for breaker in breakers)
    found: list[CircuitSnapshot] = []
    for breaker in breakers:
        entries = snapshot_of(breaker)
        if names[breaker.name] > 1:
            for entry in entries:
                entry["name"] = full_name(breaker)
        found += entries
    return sorted(found, key=lambda circuit: (circuit["name"], circuit["key"] or ""))


def snapshot_of(breaker: CircuitBreaker) -> list[CircuitSnapshot]:
    """Return a snapshot of one circuit, and of those that are made after it."""
    return [entry_of(breaker, None), *(entry_of(child, key_text(key)) for key, child in breaker.children())]


def key_text(key: object) -> str:
    """Return a key as text. One whose ``__str__`` raises must not hide the other circuits."""
    try:
        return str(key)
    except Exception:
        return f"a {type(key).__qualname__}"


def entry_of(breaker: CircuitBreaker, key: str | None) -> CircuitSnapshot:
    """Return a snapshot of one circuit. Under its lock, so that all fields are of one moment."""
    circuit = breaker.circuit
    with circuit._lock:
        now = current_clock().now()
        state = circuit.state
        window = _shares(circuit.window_snapshot(now))
        return CircuitSnapshot(
            name=breaker.name,
            key=key,
            pattern=breaker.scope,
            state=circuit.state_at(now).value,
            mode=circuit.mode.value,
            since=circuit.since,
            failures_in_a_row=state.consecutive_failures,
            calls=window.calls,
            failed=window.failed,
            slow=window.slow,
            failure_rate=window.failure_rate,
            slow_rate=window.slow_rate,
            last_category=_label(circuit.category),
            next_probe=state.next_probe_in(now),
            probes=state.probes_in_flight(now),
            probe_successes=state.successes,
            shed=circuit.shed_share(now),
        )


class _Shares(NamedTuple):
    """The fields of a snapshot that come from the window, by their names there."""

    calls: int | None = None
    failed: int | None = None
    slow: int | None = None
    failure_rate: float | None = None
    slow_rate: float | None = None


def _shares(window: WindowSnapshot | None) -> _Shares:
    if window is None:
        return _Shares()
    calls, failed, slow = window
    if not calls:
        return _Shares(calls, failed, slow)
    # By weight, two failures may be six of four calls.
    return _Shares(calls, failed, slow, min(failed / calls, 1.0), slow / calls)


def _label(category: ErrorCategory | None) -> str | None:
    if category is None:
        return None
    return category.label
