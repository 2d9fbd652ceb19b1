"""Resources of a process, sampled again and again, and the trend of each.

A resource is judged by its slope after the warm-up: the median of the slopes between all pairs of samples (Theil and
Sen), which a few high samples do not move. The growth that follows for the measured time is compared with an allowance.
"""

from __future__ import annotations

import gc
import itertools
import os
import statistics
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["ALLOWANCES", "Allowance", "Sample", "Trend", "sample", "trends"]

_PROC: Final = Path("/proc/self")
_MB: Final = 2**20


class Sample(NamedTuple):
    """The resources of the process at one moment, after a collection."""

    seconds: float
    """Since the soak began."""
    rss: float
    """Resident memory in MB; where there is no /proc, its peak."""
    threads: float
    descriptors: float
    objects: float
    """The objects that the garbage collector tracks."""


class Allowance(NamedTuple):
    """The growth of a resource that passes for noise: *least*, or a *share* of its level if that is more."""

    least: float
    share: float = 0.0


ALLOWANCES: Final = {
    "rss": Allowance(2.0, share=0.03),  # the allocator keeps arenas; a leak of minutes is far more than that
    "threads": Allowance(4.0),  # idle workers wait some seconds for the next call: how many is left to chance
    "descriptors": Allowance(2.0),
    "objects": Allowance(300.0, share=0.005),
}


class Trend(NamedTuple):
    """The trend of one resource after the warm-up."""

    resource: str
    first: float
    last: float
    lowest: float
    highest: float
    per_hour: float
    """By the median slope."""
    growth: float
    """The growth in the measured time, by that slope."""
    allowed: float

    @property
    def growing(self) -> bool:
        """Whether the resource grows by more than is allowed."""
        return self.growth > self.allowed

    @property
    def verdict(self) -> str:
        """The verdict in a word."""
        return "growing" if self.growing else "flat"


def sample(seconds: float) -> Sample:
    """Collect garbage and look at this process, *seconds* after the soak began."""
    gc.collect()
    return Sample(
        seconds, _resident_mb(), _count("task", threading.active_count()), _count("fd", 0), len(gc.get_objects())
    )


def _resident_mb() -> float:
    try:
        pages = int((_PROC / "statm").read_text("ascii").split()[1])
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * os.sysconf("SC_PAGE_SIZE") / _MB


def _count(folder: str, otherwise: int) -> int:
    """Return the entries of a folder of /proc/self; *otherwise* where there is none."""
    try:
        return sum(1 for _ in (_PROC / folder).iterdir())
    except OSError:
        return otherwise


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """Return the trend of each resource in *samples*, those after the warm-up. There have to be two at least."""
    return [_trend(resource, allowance, samples) for resource, allowance in ALLOWANCES.items()]


def _trend(resource: str, allowance: Allowance, samples: Sequence[Sample]) -> Trend:
    values = [getattr(one, resource) for one in samples]
    slope = _median_slope([(one.seconds, value) for one, value in zip(samples, values, strict=True)])
    growth = slope * (samples[-1].seconds - samples[0].seconds)
    allowed = max(allowance.least, allowance.share * statistics.median(values))
    return Trend(resource, values[0], values[-1], min(values), max(values), slope * 3600, growth, allowed)


def _median_slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the median of the slopes between all pairs of *points*.

    >>> _median_slope([(0, 1), (1, 2), (2, 300), (3, 4)])  # one high value
    1.0
    """
    pairs = itertools.combinations(points, 2)
    return statistics.median((late - early) / (end - start) for (start, early), (end, late) in pairs if end > start)
