"""The law of an adaptive limit: how many calls a dependency can do at a time, by how long the last ones took.

While a dependency has time for its calls, each takes as long as the others, however many there are: the *baseline*.
Once it has not, they queue up there, and a call takes longer in proportion to their number (Little's law). So the limit
follows the median of the calls of a window:

* up to twice the baseline it grows by its square root, where at least half of it was in use; and by one where calls
  were dropped at a limit near by;
* beyond that it shrinks in that proportion, by half at most;
* where a tenth of the calls were dropped (time-outs, rejections of the dependency), it shrinks by the share of those:
  a latency that ends at a time-out says nothing.

That is the gradient of Netflix' concurrency-limits and the square root of Envoy's adaptive concurrency filter. The
baseline is what laws of this kind fail by (`benchmarks.load.adaptive`). It follows the median down at once and up
slowly, and never while calls wait or the limit is reached: what overload makes of the latency would become the
baseline, and the limit would grow into it. But a dependency that has become slower by itself, as where the way to it
is longer, would be held down for ever. Little's law tells the two apart. Where a smaller number of calls takes less
time, they had queued up; where two cuts in succession were in vain, since fewer calls take as long as before, it was no
queue: the present latency becomes the baseline, and the limit is what it was before the cuts.

Each change of the limit begins an *epoch*. Calls that began before it say what an earlier limit did, and are ignored.

Pure functions of numbers: no clock, no lock, no chance.
"""

from __future__ import annotations

import math
import statistics
from collections import deque

__all__ = ["CapacityEstimate"]

TOLERANCE = 2.0
"""How many times the baseline the median may be: a queue at the dependency as long as its work."""

_MIN_CALLS, _MIN_SECONDS = 30, 0.25  # of a window
_FEW_CALLS, _MAX_SECONDS = 5, 1.0  # or so many, where few come
_DURATIONS_PER_WINDOW = 2.0  # else only the quick ones of the calls would have ended
_MAX_LATENCIES = 256

_MAX_DROPPED = 0.1  # of the calls of a window: that many may fail at random
_MAX_CUT = 0.5
_NEAR = 0.8  # of the limit at which calls were dropped, from which on it grows by one
_USED = 0.5  # of the limit; it does not grow beyond what is used

_MIN_LATENCY = 0.001  # below that it is the machine that calls which is busy, or not
_DOWN, _UP = 0.2, 0.05  # by which the baseline follows the median of a window
_FEWER = 0.75  # of the calls in flight, from which on a cut shows what it has done
_VAIN_CUTS = 2


class _Window:
    """The calls of a window, which begins at *began*: how long they took, and how many were in flight beside them."""

    __slots__ = ("began", "calls", "dropped", "in_flight", "is_full", "latencies", "max_in_flight", "seconds")

    def __init__(self, began: float) -> None:
        self.began = began
        self.latencies: deque[float] = deque(maxlen=_MAX_LATENCIES)
        self.calls = self.dropped = 0
        #: The sum of what the calls took, and of the numbers in flight.
        self.seconds = 0.0
        self.in_flight = self.max_in_flight = 0
        #: Whether the limit was reached, or calls waited.
        self.is_full = False

    def add(self, took: float, in_flight: int, *, dropped: bool, is_full: bool) -> None:
        """Add a call that has ended."""
        self.calls += 1
        self.in_flight += in_flight
        self.max_in_flight = max(self.max_in_flight, in_flight)
        self.is_full = self.is_full or is_full
        self.seconds += took
        if dropped:
            self.dropped += 1
        else:
            self.latencies.append(took)

    def is_over(self, now: float) -> bool:
        """Whether it has enough calls, and has lasted long enough to have the slower ones among them."""
        lasted = now - self.began
        if lasted * self.calls < _DURATIONS_PER_WINDOW * self.seconds:
            return False
        if self.calls >= _MIN_CALLS:
            return lasted >= _MIN_SECONDS
        return self.calls >= _FEW_CALLS and lasted >= _MAX_SECONDS


class _Cuts:
    """The cuts in succession by which the limit shrinks, from *limit* on; and whether they shorten the latency."""

    __slots__ = ("in_flight", "in_vain", "latency", "limit")

    def __init__(self, limit: float) -> None:
        self.limit = limit
        #: The calls in flight before the last cut that has shown what it does, and their latency. The window before the
        #: first cut says nothing: its calls began when the queue was shorter.
        self.in_flight = self.latency = math.inf
        self.in_vain = 0

    def note(self, in_flight: float, latency: float) -> bool:
        """Note how many calls were in flight since the last cut, and their latency; return whether cuts are in vain."""
        if in_flight > _FEWER * self.in_flight:
            return False
        # In a queue the latency is proportional to the calls: the cut was in vain where it is nearer to what it was.
        if self.latency < math.inf:
            proportional = self.latency * in_flight / self.in_flight
            self.in_vain = (self.in_vain + 1) * (latency > (self.latency + proportional) / 2)
        self.in_flight, self.latency = in_flight, latency
        return self.in_vain >= _VAIN_CUTS


class CapacityEstimate:
    """The limit of calls in flight, from *least* to *most*, and the *baseline*: what a call takes that waits for none.

    >>> estimate = CapacityEstimate(start=20, least=2, most=200)
    >>> for call in range(40):
    ...     changed = estimate.record(call / 100, call / 100 + 0.05, in_flight=20, dropped=False, waiting=False)
    >>> estimate.limit, f"{estimate.baseline:.3f}"
    (24, '0.050')
    """

    __slots__ = ("_cuts", "_dropped_at", "_epoch", "_exact", "_window", "baseline", "least", "most")

    def __init__(self, start: int, least: int, most: int) -> None:
        self.least: int = least
        self.most: int = most
        self.baseline: float | None = None
        self._exact = float(start)
        #: When the limit was changed last.
        self._epoch = -math.inf
        self._window: _Window | None = None
        self._cuts: _Cuts | None = None
        #: The limit at which too many calls were dropped last.
        self._dropped_at = math.inf

    def bound(self, least: int, most: int) -> None:
        """Keep the limit from *least* to *most* from now on."""
        self.least, self.most = least, most
        self._exact = min(max(self._exact, float(least)), float(most))

    @property
    def limit(self) -> int:
        """The calls that may be in flight."""
        return int(self._exact)

    def record(self, began: float, now: float, *, in_flight: int, dropped: bool, waiting: bool) -> bool:
        """Record a call that has ended; return whether the limit has changed.

        *in_flight* is the number of calls in flight, itself included. It was *dropped* where it has failed as the
        dependency has too much to do. *waiting* says that further calls wait.
        """
        window = self._window
        if window is None or now < max(window.began, self._epoch):  # or the clock was set back
            window = self._window = _Window(min(began, now))
            self._epoch = -math.inf
        if began < self._epoch:
            return False
        took = max(now - began, 0.0)
        window.add(took, in_flight, dropped=dropped, is_full=waiting or in_flight >= self.limit)
        # The collector may end another call here, and that one the window.
        if window is not self._window or not window.is_over(now):
            return False
        before = self.limit
        self._adapt(window)
        self._window = _Window(now)
        if self.limit == before:
            return False
        self._epoch = now
        return True

    def _adapt(self, window: _Window) -> None:
        """Adapt the limit to a *window* that is over."""
        dropped = window.dropped / window.calls
        if dropped > _MAX_DROPPED:
            self._cuts, self._dropped_at = None, self._exact
            self._shrink(1.0 - dropped)
            return
        latency = max(statistics.median(window.latencies), _MIN_LATENCY)
        baseline = self._learn(latency, is_full=window.is_full)
        if latency > TOLERANCE * baseline:
            self._cut(window.in_flight / window.calls, latency, baseline)
            return
        self._cuts = None
        if window.max_in_flight >= _USED * self._exact:
            self._grow()

    def _learn(self, latency: float, *, is_full: bool) -> float:
        """Return the baseline, which follows the *latency* of a window; upwards only where that has no queue."""
        if self.baseline is None:
            self.baseline = latency
        elif latency < self.baseline:
            self.baseline += _DOWN * (latency - self.baseline)
        elif not is_full:
            self.baseline += _UP * (min(latency, TOLERANCE * self.baseline) - self.baseline)
        return self.baseline

    def _cut(self, in_flight: float, latency: float, baseline: float) -> None:
        """Shrink the limit, as calls take too long; or take that latency for the baseline where it is no queue's."""
        if self._exact <= self.least:  # nothing is left to cut
            self.baseline, self._cuts = latency, None
        elif self._cuts is None:
            self._cuts = _Cuts(self._exact)
            self._shrink(TOLERANCE * baseline / latency)
        elif self._cuts.note(in_flight, latency):
            self.baseline, self._exact, self._cuts = latency, self._cuts.limit, None
        else:
            self._shrink(TOLERANCE * baseline / latency)

    def _grow(self) -> None:
        """Grow by the square root; by one near the limit at which calls were dropped last, until it is passed."""
        step = math.sqrt(self._exact)
        if _NEAR * self._dropped_at < self._exact + step:
            step = 1.0
        if self._exact > self._dropped_at:
            self._dropped_at = math.inf
        self._exact = min(self._exact + step, self.most)

    def _shrink(self, factor: float) -> None:
        self._exact = max(self._exact * max(factor, _MAX_CUT), self.least)
