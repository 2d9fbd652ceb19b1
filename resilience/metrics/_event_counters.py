"""Counts of events, kept in memory for the exporters.

Each kind of event declares the counter it adds to (`resilience.events.event_type`). `EventCounters` is the listener
that does the adding: one number per counter and set of label values. It knows no kind of event by name, and no
monitoring library.
"""

from __future__ import annotations

import operator
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from resilience._forks import fork_safe
from resilience._metric import Counter, Metric
from resilience.categories import ErrorCategory
from resilience.events import Event
from resilience.metrics.definitions import OTHER

__all__ = ["MAX_SERIES", "EventCounters", "label_values"]

MAX_SERIES = 1000
"""The number of sets of label values that each counter keeps apart."""


def label_values(event: Event, counter: Counter) -> tuple[str, ...]:
    """Return the values of *counter*'s labels for *event*, which are its attributes of the same names.

    >>> from resilience.events import CallRejected
    >>> rejected = CallRejected(target="shop.search", policy="catalogue", retry_after=3.0)
    >>> label_values(rejected, CallRejected.counter)
    ('shop.search', 'catalogue', 'false')
    """
    values: list[str] = []
    for label in counter.labels:
        value: object = getattr(event, label)
        values.append(_AS_TEXT.get(type(value), str)(value))
    return tuple(values)


_AS_TEXT: Mapping[type, Callable[[Any], str]] = {
    ErrorCategory: operator.attrgetter("label"),
    bool: lambda value: str(value).lower(),
}


class EventCounters:
    """A listener that adds one to the counter of each event's kind.

    A counter keeps at most `MAX_SERIES` sets of label values, since each is a time series that the monitoring system
    pays for. Events with further sets are counted under the label value ``other``.
    """

    def __init__(self) -> None:
        self._counts: defaultdict[Metric, dict[tuple[str, ...], int]] = defaultdict(dict)
        # Re-entrant: a signal handler may make a call whose events arrive while the lock is held.
        self._lock = fork_safe(threading.RLock())

    def __call__(self, event: Event) -> None:
        """Count *event*, if its kind has a counter."""
        counter = event.counter
        if counter is None:
            return
        labels = label_values(event, counter)
        with self._lock:
            counts = self._counts[counter]
            if labels not in counts and len(counts) >= MAX_SERIES:
                labels = (OTHER,) * len(labels)
            counts[labels] = counts.get(labels, 0) + 1

    def counts(self, metric: Metric) -> Mapping[tuple[str, ...], int]:
        """Return a copy of the counts of *metric*, by the values of its labels."""
        with self._lock:
            return dict(self._counts.get(metric, {}))

    def reset_lock(self) -> None:
        """Replace the lock in a forked child: the thread that held it does not exist there."""
        self._lock = fork_safe(threading.RLock())
