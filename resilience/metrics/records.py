"""What is kept of the calls of a tracked function: plain numbers, added to where a call ends, read when somebody asks.

They only grow. Nothing is written for Prometheus or OpenTelemetry on a call's road.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from resilience.category import ErrorCategory
from resilience.classify.decide import classify
from resilience.logs import code_of
from resilience.metrics.names import BOUNDS, CANCELLED, FAILURE, OTHER, SUCCESS
from resilience.trouble import report_trouble

__all__ = ["COUNTS_ALONE", "QUICK", "RECORDS", "Durations", "Record", "Records", "Totals", "Watcher"]

QUICK: float = BOUNDS[0]
"""Seconds up to which a call is in the first bucket, and counted by hand where it ends."""

COUNTS_ALONE: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether `+=` on an attribute is safe among threads: under a GIL no other one comes in between."""

_NONE = -1.0
_MOST_TARGETS = 1000
_MOST_CODES = 200

Watcher = Callable[["Record", str, float], bool]
"""Told of a call's end: the record, the outcome, the seconds. Returns whether it wants to hear of the next one."""


class Durations(NamedTuple):
    """How many calls took up to each of `BOUNDS`, and longer, each counted once; and all their *seconds*."""

    counts: Sequence[int]
    seconds: float

    @property
    def calls(self) -> int:
        """How many there were."""
        return sum(self.counts)


class Totals(NamedTuple):
    """All that is known of a record at one moment. *errors* are by code and category."""

    success: Durations
    failure: Durations
    cancelled: int
    errors: Mapping[tuple[str, str], int]


class Record:
    """The calls of one function. A quick success is counted by hand: `quick` and `quick_seconds`."""

    __slots__ = (
        "_cancelled",
        "_errors",
        "_failed",
        "_failed_seconds",
        "_lock",
        "_slow",
        "_slow_seconds",
        "_watchers",
        "component",
        "quick",
        "quick_seconds",
        "quick_up_to",
        "target",
        "told",
    )

    alone: bool = COUNTS_ALONE

    def __init__(self, target: str, component: str | None = None) -> None:
        self.target: str = target
        self.component: str | None = component
        self.quick: int = 0
        self.quick_seconds: float = 0.0
        #: Seconds up to which a success may be counted by hand: none where somebody is told of it.
        self.quick_up_to: float = QUICK
        #: Whether somebody is.
        self.told: bool = False
        self._watchers: Sequence[Watcher] = ()
        self._slow = [0] * (len(BOUNDS) + 1)
        self._slow_seconds = 0.0
        self._failed = [0] * (len(BOUNDS) + 1)
        self._failed_seconds = 0.0
        self._cancelled = 0
        self._errors: dict[tuple[str, str], int] = {}
        self._lock = threading.RLock()  # a signal handler may call while it is held

    def slow(self, took: float) -> None:
        """Count a success, under the lock, and tell of it."""
        with self._lock:
            self._slow[bisect_left(BOUNDS, took)] += 1
            self._slow_seconds += took
        if self.told:
            self.tell(SUCCESS, took)

    def failed(self, error: BaseException, took: float) -> None:
        """Count a call that raised. What is no failure of anybody's, cancellation and Ctrl-C, is `cancelled`."""
        category = classify(error)
        if category is ErrorCategory.CANCELLED:
            self.cancelled(took)
            return
        code = RECORDS.code(error)
        with self._lock:
            key = code, category.label
            self._errors[key] = self._errors.get(key, 0) + 1
            self._failed[bisect_left(BOUNDS, took)] += 1
            self._failed_seconds += took
        if self.told:
            self.tell(FAILURE, took)

    def cancelled(self, took: float = 0.0) -> None:
        """Count a call that nobody wanted any more."""
        with self._lock:
            self._cancelled += 1
        if self.told:
            self.tell(CANCELLED, took)

    def tell(self, outcome: str, took: float) -> None:
        """Tell those who watch. One that raises is reported once."""
        wanted = False
        for watcher in self._watchers:
            try:
                wanted = watcher(self, outcome, took) or wanted
            except Exception as trouble:
                report_trouble("metrics watcher", watcher, trouble)
        self._tell_if(wanted)

    def watched_by(self, watchers: Sequence[Watcher]) -> None:
        """Have *watchers* told from now on."""
        self._watchers = watchers
        self._tell_if(bool(watchers))

    def _tell_if(self, told: bool) -> None:
        self.told = told
        self.quick_up_to = _NONE if told else QUICK

    def totals(self) -> Totals:
        """Return what there is."""
        with self._lock:
            slow, slow_seconds = self._slow.copy(), self._slow_seconds
            failure = Durations(self._failed.copy(), self._failed_seconds)
            cancelled, errors = self._cancelled, dict(self._errors)
        slow[0] += self.quick
        return Totals(Durations(slow, slow_seconds + self.quick_seconds), failure, cancelled, errors)

    def unlock(self) -> None:
        """Forget who held the lock: in a forked child nobody does."""
        self._lock = threading.RLock()


class Records:
    """The records of this process. It keeps them for good, at most 1000: what comes later is counted as ``other``."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str | None], Record] = {}
        self._codes: set[str] = set()
        self._watchers: tuple[Watcher, ...] = ()
        self._lock = threading.RLock()

    def of(self, target: str, component: str | None) -> Record:
        """Return the record of that function, made when first asked for."""
        found = self._records.get((target, component))
        if found is not None:
            return found
        with self._lock:
            if len(self._records) >= _MOST_TARGETS:
                target = OTHER
            record = self._records.setdefault((target, component), Record(target, component))
            record.watched_by(self._watchers)
            return record

    def code(self, error: BaseException) -> str:
        """Return what an error is counted as: its code, else the name of its type. At most 200 different ones."""
        code = code_of(error) or type(error).__name__
        if code in self._codes:
            return code
        with self._lock:
            if len(self._codes) >= _MOST_CODES:
                return OTHER
            self._codes.add(code)
        return code

    def __iter__(self) -> Iterator[Record]:
        with self._lock:
            return iter(list(self._records.values()))

    def watch(self, watcher: Watcher) -> None:
        """Have *watcher* told how calls end, until it has heard enough."""
        with self._lock:
            self._watchers = (*self._watchers, watcher)
        self.tell_again()

    def unwatch(self, watcher: Watcher) -> None:
        """Take *watcher* off again. Doing it twice is fine."""
        with self._lock:
            self._watchers = tuple(other for other in self._watchers if other != watcher)
        self.tell_again()

    def tell_again(self) -> None:
        """Tell everybody who watches of the next call, also those who had heard enough."""
        with self._lock:
            for record in self._records.values():
                record.watched_by(self._watchers)

    def unlock(self) -> None:
        """Forget who held a lock: in a forked child nobody does."""
        self._lock = threading.RLock()
        for record in self._records.values():
            record.unlock()


RECORDS = Records()

with contextlib.suppress(AttributeError):  # there is no fork on Windows
    os.register_at_fork(after_in_child=RECORDS.unlock)
