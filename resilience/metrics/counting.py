"""Events, counted: which number each adds to."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from resilience.events import (
    AttemptFailed,
    CallRejected,
    CallRevised,
    CircuitClosed,
    CircuitHalfOpened,
    CircuitOpened,
    Event,
    FallbackFailed,
    FallbackUsed,
    RetriesExhausted,
    RetryScheduled,
    TimedOut,
)
from resilience.metrics import names
from resilience.metrics.names import OTHER, Metric

__all__ = ["EventCounts", "Labels", "counted"]

Labels: TypeAlias = Sequence[str]

_MOST = 1000  # sets of labels of one metric


def counted(event: Event) -> tuple[Metric, tuple[str, ...]] | None:
    """Return the metric that *event* adds one to, and its labels' values; None where it adds to none.

    >>> metric, labels = counted(TimedOut(target="shop.search", policy="timeout", limit=2.0))
    >>> metric.name, labels
    ('resilience.timeouts', ('shop.search',))
    """
    match event:
        case AttemptFailed():
            return names.ATTEMPT_FAILURES, (event.target, event.category.label)
        case RetryScheduled():
            return names.RETRIES, (event.target, event.category.label)
        case RetriesExhausted():
            return names.EXHAUSTED, (event.target, event.category.label, event.reason)
        case CallRevised():
            return names.REVISIONS, (event.target, event.category.label)
        case CallRejected():
            return names.REJECTIONS, (event.target, event.policy, str(event.shadow).lower())
        case TimedOut():
            return names.TIMEOUTS, (event.target,)
        case FallbackUsed():
            return names.FALLBACKS, (event.target, event.category.label)
        case FallbackFailed():
            return names.FALLBACK_FAILURES, (event.target, event.category.label)
        case CircuitOpened():
            return names.TRANSITIONS, (event.policy, "open")
        case CircuitHalfOpened():
            return names.TRANSITIONS, (event.policy, "half_open")
        case CircuitClosed():
            return names.TRANSITIONS, (event.policy, "closed")
        case _:
            return None


class EventCounts:
    """A listener that counts. Of each metric it tells 1000 sets of labels apart; what comes later is ``other``."""

    def __init__(self) -> None:
        self._counts: dict[Metric, dict[tuple[str, ...], int]] = {metric: {} for metric in names.METRICS}
        self._lock = threading.RLock()  # a signal handler may call, and be told, while it is held

    def __call__(self, event: Event) -> None:
        found = counted(event)
        if found is None:
            return
        metric, labels = found
        with self._lock:
            counts = self._counts[metric]
            if labels not in counts and len(counts) >= _MOST:
                labels = (OTHER,) * len(labels)
            counts[labels] = counts.get(labels, 0) + 1

    def of(self, metric: Metric) -> Mapping[tuple[str, ...], int]:
        """Return what has been counted for *metric*, by its labels' values."""
        with self._lock:
            return dict(self._counts[metric])

    def unlock(self) -> None:
        """Forget who held the lock: in a forked child nobody does."""
        self._lock = threading.RLock()
