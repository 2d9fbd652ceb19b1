"""Incidents of circuits, for the log: from the event that opens a circuit to the one that closes it.

An incident has a line at its beginning and one at its end, with the number of calls that were rejected in between. All
else that belongs to it has none: failed probes with their retries, time limits and fallbacks, and the rejected calls.
`Incidents` says of each event whether it belongs to one. It counts, and writes nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections import Counter

from resilience._forks import fork_safe
from resilience.categories import Severity
from resilience.clock import current_clock
from resilience.events import (
    CallRejected,
    CircuitClosed,
    CircuitModeChanged,
    CircuitOpened,
    Event,
    RetriesExhausted,
)

__all__ = ["Incidents"]

_MAX_INCIDENTS = 10_000
_MAX_TARGETS = 100
_LOUD = (Severity.ERROR, Severity.CRITICAL)


@dataclasses.dataclass(slots=True)
class _Incident:
    """A time in which a circuit rejects calls: when it began, and the calls *rejected* and, in shadow, not rejected.

    *targets* are the functions whose calls go through the circuit, as far as that is known.
    """

    began: float
    rejected: int = 0
    shadowed: int = 0
    targets: set[str] = dataclasses.field(default_factory=set[str])

    def summary(self, now: float) -> dict[str, object]:
        """Return the keys for the line that ends the incident; ``shadowed`` only where there were such calls."""
        found: dict[str, object] = {"rejected": self.rejected, "lasted": round(now - self.began, 4)}
        if self.shadowed:
            found["shadowed"] = self.shadowed
        return found


class Incidents:
    """The circuits that are open, by name.

    A circuit that opens again after a failed probe has not closed: its incident goes on. The calls of a function whose
    circuit is open are rejected or are probes, so their retries, time limits and fallbacks belong to the incident, but
    for what is logged as an error.

    >>> from resilience.events import CircuitClosed, CircuitOpened
    >>> incidents = Incidents()
    >>> opened = CircuitOpened(target="shop.search", policy="catalogue", failures=5, retry_after=30)
    >>> incidents.record(opened), incidents.record(opened)
    ((False, {}), (True, {}))
    """

    def __init__(self) -> None:
        self._incidents: dict[str, _Incident] = {}
        self._targets: Counter[str] = Counter()
        # Re-entrant: a signal handler may make a call that is rejected while the lock is held.
        self._lock = fork_safe(threading.RLock())

    def record(self, event: Event) -> tuple[bool, dict[str, object]]:
        """Return whether *event* belongs to an incident that has its line already, and the summary of one that ends."""
        with self._lock:
            return self._record(event)

    @functools.singledispatchmethod
    def _record(self, event: Event) -> tuple[bool, dict[str, object]]:
        return event.severity not in _LOUD and self._targets[event.target] > 0, {}

    @_record.register
    def _exhausted(self, event: RetriesExhausted) -> tuple[bool, dict[str, object]]:
        return event.reason == "circuit_open" and self._targets[event.target] > 0, {}

    @_record.register
    def _rejected(self, event: CallRejected) -> tuple[bool, dict[str, object]]:
        incident = self._incidents.get(event.policy)
        if incident is None or event.kind != "circuit_breaker":
            return False, {}
        incident.shadowed += event.shadow
        incident.rejected += not event.shadow
        self._add_target(incident, event.target)
        return True, {}

    @_record.register
    def _opened(self, event: CircuitOpened) -> tuple[bool, dict[str, object]]:
        goes_on = event.policy in self._incidents
        self._begin(event)
        return goes_on, {}

    @_record.register
    def _closed(self, event: CircuitClosed) -> tuple[bool, dict[str, object]]:
        return False, self._end(event)

    @_record.register
    def _mode_changed(self, event: CircuitModeChanged) -> tuple[bool, dict[str, object]]:
        if event.mode == "isolated":
            self._begin(event)
            return False, {}
        return False, self._end(event)

    def _begin(self, event: Event) -> None:
        """Begin an incident, unless there is one already, or too many others."""
        if event.policy not in self._incidents and len(self._incidents) < _MAX_INCIDENTS:
            incident = self._incidents[event.policy] = _Incident(current_clock().now())
            self._add_target(incident, event.target)

    def _end(self, event: Event) -> dict[str, object]:
        """End an incident, if there is one; return its summary."""
        incident = self._incidents.pop(event.policy, None)
        if incident is None:
            return {}
        self._targets -= Counter(incident.targets)
        return incident.summary(current_clock().now())

    def _add_target(self, incident: _Incident, target: str) -> None:
        if target not in incident.targets and len(incident.targets) < _MAX_TARGETS:
            incident.targets.add(target)
            self._targets[target] += 1
