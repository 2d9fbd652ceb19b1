"""Laws of adaptive concurrency limits, as they are published, with their constants. Only `benchmarks.load` runs them.

* `FailsafeGo`: ``adaptivelimiter/adaptivelimiter.go`` of failsafe-go (MIT licence): the p90 of windows of a second,
  smoothed, against an average of the last ten; guarded by correlations.
* `Gradient2`, `Vegas` and `Aimd`: ``Gradient2Limit.java``, ``VegasLimit.java`` and ``AIMDLimit.java`` of Netflix'
  concurrency-limits (Apache licence), each in its ``WindowedLimit`` of a second, which hands on the mean of a window.

Where a calculation needs a t-digest there, it has the exact quantile here. Each call that has ended is recorded by
`record`; each has a `limit`. None of them has a queue by itself.
"""

from __future__ import annotations

import math
import random
import statistics
from abc import ABC, abstractmethod
from collections import deque

__all__ = ["Aimd", "FailsafeGo", "Gradient2", "Law", "Vegas"]


class Law(ABC):
    """A law: its `limit` follows the calls that end."""

    def __init__(self) -> None:
        self.estimate = 20.0

    @property
    def limit(self) -> int:
        """The calls that may be in flight."""
        return int(self.estimate)

    @abstractmethod
    def record(self, now: float, took: float, in_flight: int, *, dropped: bool, is_full: bool) -> None:
        """Record a call that has ended *now*; *in_flight* calls were when it began."""
        raise NotImplementedError


def _log10(limit: float) -> int:
    """Return the integer part of the logarithm, 1 at least, as Netflix' ``Log10RootIntFunction`` does."""
    return max(1, int(math.log10(max(limit, 1))))


class _Average:
    """An exponential moving average that begins as the mean of its first ten samples."""

    def __init__(self, age: int) -> None:
        self.factor = 2 / (age + 1)
        self.count = 0
        self.value = self.sum = 0.0

    def add(self, sample: float) -> float:
        if self.count < 10:
            self.count += 1
            self.sum += sample
            self.value = self.sum / self.count
        else:
            self.value += self.factor * (sample - self.value)
        return self.value


class _Windowed(Law):
    """Netflix' ``WindowedLimit``: windows of a second, of ten calls at least, whose mean is handed on."""

    def __init__(self) -> None:
        super().__init__()
        self.next_update = 0.0
        self._begin()

    def _begin(self) -> None:
        self.times: list[float] = []
        self.max_in_flight = 0
        self.did_drop = False

    def record(self, now: float, took: float, in_flight: int, *, dropped: bool, is_full: bool) -> None:
        self.times.append(took)
        self.max_in_flight = max(self.max_in_flight, in_flight)
        self.did_drop = self.did_drop or dropped
        if now > self.next_update:
            times, most, did_drop = self.times, self.max_in_flight, self.did_drop
            self._begin()
            self.next_update = now + 1.0
            if len(times) >= 10:
                self.update(statistics.fmean(times), most, did_drop)

    @abstractmethod
    def update(self, took: float, in_flight: int, did_drop: bool) -> None:
        """Adapt the limit to a window."""
        raise NotImplementedError


class Gradient2(_Windowed):
    """The gradient of the short and the long average, with a tolerance of 1.5 and a queue of 4; 20 to 200."""

    def __init__(self) -> None:
        super().__init__()
        self.long = _Average(600)

    def update(self, took: float, in_flight: int, did_drop: bool) -> None:
        long = self.long.add(took)
        if long / took > 2:
            self.long.value *= 0.95
        if in_flight < self.estimate / 2:
            return
        gradient = max(0.5, min(1.0, 1.5 * long / took))
        smoothed = self.estimate * 0.8 + (self.estimate * gradient + 4) * 0.2
        self.estimate = max(20.0, min(200.0, smoothed))


class Vegas(_Windowed):
    """The queue by the shortest time, which is measured anew every 30 limits of windows or so; 1 to 1000."""

    def __init__(self) -> None:
        super().__init__()
        self.unloaded = 0.0
        self.probes = 0
        self.chance = random.Random(1)
        self.jitter = self.chance.uniform(0.5, 1)

    def update(self, took: float, in_flight: int, did_drop: bool) -> None:
        self.probes += 1
        if self.jitter * 30 * self.estimate <= self.probes:
            self.jitter, self.probes, self.unloaded = self.chance.uniform(0.5, 1), 0, took
        elif not self.unloaded or took < self.unloaded:
            self.unloaded = took
        else:
            self.estimate = max(1.0, min(1000.0, self._next(took, in_flight, did_drop)))

    def _next(self, took: float, in_flight: int, did_drop: bool) -> float:
        step = _log10(self.estimate)
        queue = math.ceil(self.estimate * (1 - self.unloaded / took))
        if did_drop:
            return self.estimate - step
        if in_flight * 2 < self.estimate:
            return self.estimate
        if queue <= step:
            return self.estimate + 6 * step
        if queue < 3 * step:
            return self.estimate + step
        return self.estimate - step * (queue > 6 * step)


class Aimd(_Windowed):
    """One more after a window without a time-out, nine tenths after one with; 20 to 200."""

    def update(self, took: float, in_flight: int, did_drop: bool) -> None:
        if did_drop:
            self.estimate = float(int(self.estimate * 0.9))
        elif in_flight * 2 >= self.estimate:
            self.estimate += 1
        self.estimate = max(20.0, min(200.0, self.estimate))


class _Correlation:
    """The correlation of the last 50 pairs, from the tenth on; 0 where one of both hardly varies."""

    def __init__(self) -> None:
        self.pairs: deque[tuple[float, float]] = deque(maxlen=50)

    def add(self, x: float, y: float) -> tuple[float, float]:
        """Add a pair; return the correlation, and by how much *y* varies, as a part of its mean."""
        self.pairs.append((x, y))
        if len(self.pairs) < 10:
            return 0.0, 0.0
        xs, ys = zip(*self.pairs, strict=True)
        vary_x, vary_y = (statistics.pstdev(each) / statistics.fmean(each) for each in (xs, ys))
        if vary_x < 0.01 or vary_y < 0.01:
            return 0.0, vary_y
        return statistics.correlation(xs, ys), vary_y


class FailsafeGo(Law):
    """The queue by the p90 against its average, guarded by what throughput and time have to do with the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []
        self.max_in_flight = 0
        self.next_update = 0.0
        self.last_quantiles: deque[float] = deque(maxlen=5)
        self.recent, self.baseline = _Average(5), _Average(10)
        self.throughput, self.latency = _Correlation(), _Correlation()

    def record(self, now: float, took: float, in_flight: int, *, dropped: bool, is_full: bool) -> None:
        if not dropped:
            self.times.append(took)
            self.max_in_flight = max(self.max_in_flight, in_flight)
        if now <= self.next_update or len(self.times) < 50:
            return
        quantile = statistics.quantiles(self.times, n=10)[-1]
        self.last_quantiles.append(quantile)
        if len(self.last_quantiles) == 5:
            quantile = statistics.median(self.last_quantiles)
        self.update(self.recent.add(quantile), self.max_in_flight, is_full)
        self.next_update = now + min(max(min(self.times) * 2, 1.0), 30.0)
        self.times, self.max_in_flight = [], 0

    def update(self, recent: float, in_flight: int, is_full: bool) -> None:
        """Adapt the limit to a window."""
        queue = math.ceil(self.estimate * (1 - self.baseline.add(recent) / recent))
        throughput, varies = self.throughput.add(in_flight, in_flight / recent)
        latency, _ = self.latency.add(in_flight, recent)
        overloaded = is_full and (
            throughput < 0 or (throughput < 0.3 and latency > 0.5) or (varies < 0.2 and latency > 0.5)
        )
        step, before = _log10(self.estimate), self.estimate
        if queue > 6 * step or overloaded:
            self.estimate -= step
        elif queue < 3 * step:
            self.estimate += step
        most = 5 * in_flight
        if self.estimate > most:
            self.estimate = before - step if before > most else most
        self.estimate = max(1.0, min(200.0, self.estimate))
