"""The quantile of the latencies of a dependency, learned from one call after the other.

It keeps one number and no window: a latency above the estimate raises it by a step, one below lowers it by a smaller
one, such that the two balance where the wanted share of the latencies lies below. This is stochastic approximation
(Robbins and Monro 1951), as failsafe-go uses it for its hedges.
"""

from __future__ import annotations

import math
import statistics

__all__ = ["LatencyQuantile"]

_FIRST_SAMPLES = 20
"""Latencies that are kept before the first estimate, which is their quantile."""
_SPREAD_WEIGHT = 0.05
_GRID = math.log(1.02)
_MIN_DELAY = 0.001
"""Seconds: below that a second call costs more than it can save."""


class LatencyQuantile:
    """An estimate of the latency, in seconds, below which the *share* of the calls lies.

    A step is the share *step* of the spread of the latencies, and larger, 1 / n of it, for the first n of them. Smaller
    steps give a steadier estimate, which follows a change later. A latency is taken to be off by no more than the
    estimate itself, so that one call that hung for a minute does not move it far.

    Threads may observe at the same time. One latency that is lost by that does not matter.

    >>> p90 = LatencyQuantile(0.9)
    >>> for milliseconds in range(100, 120):
    ...     p90.observe(milliseconds / 1000)
    >>> p90.estimate
    0.117
    """

    __slots__ = ("_count", "_delay_before", "_first", "_lowers", "_share", "_spread", "_step", "delay", "estimate")

    def __init__(self, share: float, step: float = 0.01) -> None:
        self._share = share
        self._step = step
        #: The step down, for a step up of 1: share * down = (1 - share) * up.
        self._lowers = (1 - share) / share
        self._first: list[float] = []
        self._count = 0
        self._spread = 0.0
        #: The latency; None until enough calls have been observed.
        self.estimate: float | None = None
        #: The estimate, rounded up by at most 2 %, for a timer: calls whose delays are equal share one. At least 1 ms;
        #: infinite without an estimate.
        self.delay: float = math.inf
        #: The delay of the next smaller estimates: those in between have the same one, which is not computed anew.
        self._delay_before = math.inf

    def observe(self, seconds: float) -> None:
        """Take the latency of one more call into account."""
        if self.estimate is None:
            self._first.append(seconds)
            if len(self._first) >= _FIRST_SAMPLES:
                self._begin(sorted(self._first))
            return
        self._count += 1
        off = seconds - self.estimate
        self._spread += _SPREAD_WEIGHT * (min(abs(off), self.estimate) - self._spread)
        step = self._spread * max(self._step, 1 / self._count)
        if off > 0:
            self._set(self.estimate + step)
        elif off < 0:
            self._set(max(self.estimate - step * self._lowers, seconds))

    def _begin(self, samples: list[float]) -> None:
        """Make the first estimate of *samples*, in ascending order."""
        estimate = samples[math.ceil(self._share * len(samples)) - 1]
        self._count = len(samples)
        self._spread = statistics.fmean(min(abs(each - estimate), estimate) for each in samples)
        self._first = []
        self._set(estimate)

    def _set(self, estimate: float) -> None:
        self.estimate = estimate
        if not self._delay_before <= estimate < self.delay:
            self._round_up(estimate)

    def _round_up(self, estimate: float) -> None:
        """Set the delay, strictly above the estimate: calls that all take as long are not late."""
        self._delay_before = 0.0
        steps = math.floor(math.log(max(estimate, _MIN_DELAY)) / _GRID) + 1
        self.delay = math.exp(_GRID * steps)
        if estimate > _MIN_DELAY:
            self._delay_before = math.exp(_GRID * (steps - 1))
