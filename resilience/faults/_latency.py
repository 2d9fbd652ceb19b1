"""Distributions of latency that chaos adds to calls, in seconds.

The time of a call that goes over a network has a long tail, which a lognormal distribution has as well: `Lognormal` is
written by the two figures that dashboards show, p50 and p99.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from datetime import timedelta
from statistics import NormalDist
from typing import TypeAlias

from resilience._validation import parse_duration, require

__all__ = ["Distribution", "LatencyLike", "Lognormal", "Uniform", "parse_latency"]

_STANDARD = NormalDist()
_Z99 = _STANDARD.inv_cdf(0.99)


class Distribution(abc.ABC):
    """Seconds by chance. A subclass makes them of a number that is uniform in [0, 1)."""

    @abc.abstractmethod
    def quantile(self, share: float) -> float:
        """Return the seconds that *share* of all calls do not exceed: of 0.5 the median."""
        raise NotImplementedError


class Lognormal(Distribution):
    """Seconds whose logarithm is normally distributed, by their median *p50* and their *p99*.

    With z = 2.326, the 99 % quantile of the standard normal distribution, a share u of all calls takes no longer than
    ``p50 * (p99 / p50) ** (quantile(u) / z)``.

    Raises TypeError or ValueError unless 0 < p50 <= p99.

    >>> latency = Lognormal(0.05, 0.5)
    >>> round(latency.quantile(0.5), 3), round(latency.quantile(0.99), 3)
    (0.05, 0.5)
    """

    def __init__(self, p50: float | timedelta, p99: float | timedelta) -> None:
        self.p50: float = parse_duration("p50", p50)
        self.p99: float = parse_duration("p99", p99)
        require(self.p99 >= self.p50, "p99", p99, f"seconds of at least p50={self.p50:g}")

    def quantile(self, share: float) -> float:
        """Return the seconds that *share* of all calls do not exceed; 0 and 1, which have none, are taken inside."""
        share = min(max(share, 1e-9), 1 - 1e-9)
        return self.p50 * math.exp(math.log(self.p99 / self.p50) * _STANDARD.inv_cdf(share) / _Z99)

    def __repr__(self) -> str:
        return f"Lognormal({self.p50:g}, {self.p99:g})"


class Uniform(Distribution):
    """Seconds between *low* and *high*, each as likely.

    Raises TypeError or ValueError unless 0 <= low <= high.

    >>> Uniform(1, 3).quantile(0.5)
    2.0
    """

    def __init__(self, low: float | timedelta, high: float | timedelta) -> None:
        self.low: float = parse_duration("low", low, zero=True)
        self.high: float = parse_duration("high", high)
        require(self.high >= self.low, "high", high, f"seconds of at least low={self.low:g}")

    def quantile(self, share: float) -> float:
        """Return the seconds that *share* of all calls do not exceed."""
        return self.low + (self.high - self.low) * share

    def __repr__(self) -> str:
        return f"Uniform({self.low:g}, {self.high:g})"


LatencyLike: TypeAlias = float | timedelta | Distribution
"""Seconds, the same for each call, or a distribution of them."""


def parse_latency(parameter: str, value: LatencyLike) -> Callable[[float], float]:
    """Return what makes seconds of a number in [0, 1). Raises TypeError or ValueError for what is no latency.

    >>> parse_latency("latency", 0.2)(0.7)
    0.2
    """
    if isinstance(value, Distribution):
        return value.quantile
    seconds = parse_duration(parameter, value)
    return lambda _: seconds
