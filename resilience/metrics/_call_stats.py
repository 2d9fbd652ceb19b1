"""Statistics of tracked calls: how many ended how, how long they took, and which errors they raised.

`CallStats` belongs to one function, `CALL_STATS` holds those of the process. All are plain numbers in memory that only
grow. The end of a call adds to them, and the exporters read them when a scrape or an export asks: the hot path calls
neither Prometheus nor OpenTelemetry.

A call that succeeds within `FAST_THRESHOLD` is counted by two additions to attributes (`quick`, `quick_seconds`), made
by the wrapper of the guarded function without a call or a lock. All other calls go through a method.
"""

from __future__ import annotations

import sys
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from resilience._callback_errors import log_callback_error
from resilience._forks import call_in_forked_child
from resilience._runtime.cut_off import CutOff
from resilience.categories import ErrorCategory
from resilience.classification.classifier import classify
from resilience.errors._error_code import code_of
from resilience.errors.base import DeadlineExceededError
from resilience.metrics.definitions import BOUNDS, CANCELLED, FAILURE, OTHER, SUCCESS

__all__ = [
    "CALL_STATS",
    "FAST_THRESHOLD",
    "HAS_GIL",
    "CallStats",
    "CallStatsRegistry",
    "Durations",
    "Observer",
    "Totals",
]

FAST_THRESHOLD: float = BOUNDS[0]
"""Seconds within which a success is in the first bucket, so that the wrapper can count it by one addition."""

HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether `+=` on an attribute is safe among threads: under a GIL no other thread runs in between."""

_NEVER_FAST = -1.0
_MAX_TARGETS = 1000
_MAX_CODES = 200

Observer = Callable[["CallStats", str, float], bool]
"""Called at a call's end with the function's statistics, the outcome and the seconds it took.

It returns whether it wants to be called for the next one too.
"""


class Durations(NamedTuple):
    """A histogram at one moment: the calls in each bucket of `BOUNDS` and above, and the *seconds* of all together.

    Each call is counted in one bucket. Prometheus' buckets, which include the lower ones, are sums of these.
    """

    counts: Sequence[int]
    seconds: float

    @property
    def calls(self) -> int:
        """The number of calls."""
        return sum(self.counts)

    @classmethod
    def none(cls) -> Durations:
        """Return the histogram of no calls."""
        return cls([0] * (len(BOUNDS) + 1), 0.0)

    def merged(self, other: Durations) -> Durations:
        """Return the histogram of the calls of both."""
        counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        return Durations(counts, self.seconds + other.seconds)


class Totals(NamedTuple):
    """The statistics of one function at one moment. *errors* are counted by code and label of the category."""

    success: Durations
    failure: Durations
    cancelled: int
    errors: Mapping[tuple[str, str], int]


class _Buckets:
    """A histogram that calls are added to. Its owner holds the lock."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, took: float) -> None:
        """Count a call that took so many seconds. One that took exactly a bound is below it."""
        self.counts[bisect_left(BOUNDS, took)] += 1
        self.seconds += took

    def copy(self) -> Durations:
        """Return what has been added up to now."""
        return Durations(self.counts.copy(), self.seconds)


class CallStats:
    """The statistics of one function.

    The wrapper of the function reads `quick_up_to` and adds to `quick` and `quick_seconds` (see
    `resilience._runtime.protocol.LatencyRecorder`). Once an observer is registered, `quick_up_to` is below zero, so
    that no call is counted without the observer being called.
    """

    __slots__ = (
        "_cancelled",
        "_errors",
        "_failures",
        "_lock",
        "_observers",
        "_successes",
        "component",
        "has_observers",
        "quick",
        "quick_seconds",
        "quick_up_to",
        "target",
    )

    #: Whether threads may add to `quick` without the lock.
    alone: bool = HAS_GIL

    def __init__(self, target: str, component: str | None = None) -> None:
        self.target: str = target
        self.component: str | None = component
        #: Successes within `FAST_THRESHOLD`, and the seconds they took.
        self.quick: int = 0
        self.quick_seconds: float = 0.0
        #: Seconds within which the wrapper may count a success by itself.
        self.quick_up_to: float = FAST_THRESHOLD
        #: Whether an observer waits for the next call.
        self.has_observers: bool = False
        self._observers: Sequence[Observer] = ()
        self._successes = _Buckets()
        self._failures = _Buckets()
        self._cancelled = 0
        self._errors: dict[tuple[str, str], int] = {}
        # Re-entrant: a signal handler may make a tracked call while the lock is held.
        self._lock = threading.RLock()

    def slow(self, took: float) -> None:
        """Record a success that the wrapper did not count, after *took* seconds."""
        with self._lock:
            self._successes.add(took)
        if self.has_observers:
            self._notify(SUCCESS, took)

    def failed(self, error: BaseException, took: float) -> None:
        """Record a call that raised *error* after *took* seconds. Cancellation and Ctrl-C are no failures."""
        category = classify(error)
        if category is ErrorCategory.CANCELLED:
            self.cancelled(took)
            return
        key = CALL_STATS.code(error), category.label
        with self._lock:
            self._errors[key] = self._errors.get(key, 0) + 1
            self._failures.add(took)
        if self.has_observers:
            self._notify(FAILURE, took)

    def cancelled(self, took: float = 0.0, cut_off: CutOff | None = None) -> None:
        """Record a call that was cancelled or interrupted; as a failure where a limit around it has cut it off."""
        if cut_off is CutOff.TIMED_OUT:
            self.failed(DeadlineExceededError(self.target), took)
            return
        with self._lock:
            self._cancelled += 1
        if self.has_observers:
            self._notify(CANCELLED, took)

    def _notify(self, outcome: str, took: float) -> None:
        """Call the observers, until none wants the next call. One that raises is logged once, and wants no more."""
        wanted = False
        for observer in self._observers:
            try:
                wanted = observer(self, outcome, took) or wanted
            except Exception as error:
                log_callback_error("metrics watcher", observer, error)
        self._expect_observers(wanted)

    def set_observers(self, observers: Sequence[Observer]) -> None:
        """Call *observers* from the next call on, in place of the previous ones."""
        self._observers = observers
        self._expect_observers(bool(observers))

    def _expect_observers(self, expected: bool) -> None:
        self.has_observers = expected
        self.quick_up_to = FAST_THRESHOLD
        if expected:
            self.quick_up_to = _NEVER_FAST

    def totals(self) -> Totals:
        """Return the statistics as they are now, the calls that the wrapper counted included."""
        with self._lock:
            success, failure = self._successes.copy(), self._failures.copy()
            cancelled, errors = self._cancelled, dict(self._errors)
        quick = [self.quick, *[0] * len(BOUNDS)]
        return Totals(success.merged(Durations(quick, self.quick_seconds)), failure, cancelled, errors)

    def reset_lock(self) -> None:
        """Replace the lock in a forked child: the thread that held it does not exist there."""
        self._lock = threading.RLock()


class CallStatsRegistry:
    """The statistics of all tracked functions of a process, and the observers of their calls.

    Statistics are never dropped, since a counter must not fall. To bound the memory and the number of time series, at
    most 1000 functions and 200 error codes have numbers of their own; further ones are counted as ``other``.
    """

    def __init__(self) -> None:
        self._stats: dict[tuple[str, str | None], CallStats] = {}
        self._codes: set[str] = set()
        self._observers: tuple[Observer, ...] = ()
        # Re-entrant, as that of `CallStats`.
        self._lock = threading.RLock()

    def for_target(self, target: str, component: str | None) -> CallStats:
        """Return the statistics of the function named *target*, made when first asked for."""
        found = self._stats.get((target, component))
        if found is not None:
            return found
        with self._lock:
            if len(self._stats) >= _MAX_TARGETS:
                target = OTHER
            stats = self._stats.setdefault((target, component), CallStats(target, component))
            stats.set_observers(self._observers)
            return stats

    def code(self, error: BaseException) -> str:
        """Return the label value for *error*: its stable code, else the name of its type."""
        code = code_of(error) or type(error).__name__
        if code in self._codes:
            return code
        with self._lock:
            if len(self._codes) >= _MAX_CODES:
                return OTHER
            self._codes.add(code)
        return code

    def __iter__(self) -> Iterator[CallStats]:
        with self._lock:
            return iter(list(self._stats.values()))

    def add_observer(self, observer: Observer) -> None:
        """Call *observer* at the end of each tracked call, until it returns False."""
        with self._lock:
            self._observers = (*self._observers, observer)
        self.renotify()

    def remove_observer(self, observer: Observer) -> None:
        """Stop calling *observer*. Doing it twice is fine."""
        with self._lock:
            self._observers = tuple(other for other in self._observers if other != observer)
        self.renotify()

    def renotify(self) -> None:
        """Call all observers at the end of the next call, those that have returned False included."""
        with self._lock:
            for stats in self._stats.values():
                stats.set_observers(self._observers)

    def reset_locks(self) -> None:
        """Replace the locks in a forked child: the threads that held them do not exist there."""
        self._lock = threading.RLock()
        for stats in self._stats.values():
            stats.reset_lock()


CALL_STATS = CallStatsRegistry()
"""The statistics of this process."""

call_in_forked_child(CALL_STATS.reset_locks)
