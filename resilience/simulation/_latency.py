"""`Latency`: how long the simulated server takes for a request, as a distribution."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Self, TypeAlias

from resilience._validation import parse_duration, require

__all__ = ["Latency"]

Shape: TypeAlias = Literal["lognormal", "exponential", "constant"]

_P99 = 2.3263478740408408  # the 99th percentile of the standard normal distribution
_EXPONENTIAL_P99 = math.log(100) / math.log(2)  # of an exponential distribution, in medians
_NEAREST = 1e-6  # as a share: what two numbers of seconds may differ by and be the same


@dataclass(frozen=True)
class Latency:
    """The time that the server works on one request: its median *p50*, and its 99th percentile *p99*, in seconds.

    The distribution is log-normal, as measured latencies mostly are: ``exp(N(ln p50, s))`` with
    ``s = ln(p99 / p50) / 2.326``. `exponential` and `constant` make the two that queueing theory has formulas for. Give
    what the server takes while it is idle: the simulation adds the wait in its queue.

    Raises TypeError or ValueError for what is no duration, and for a *p99* below *p50*.

    >>> round(Latency(p50=0.040, p99=0.300).mean, 4)
    0.0582
    >>> round(Latency.exponential(0.1).mean, 4)
    0.1
    """

    p50: float
    p99: float
    shape: Shape = "lognormal"

    def __post_init__(self) -> None:
        for name in ("p50", "p99"):
            object.__setattr__(self, name, parse_duration(name, getattr(self, name)))
        require(self.p99 >= self.p50, "p99", self.p99, f"p50={self.p50:g} or more seconds")

    @classmethod
    def exponential(cls, mean: float | timedelta) -> Self:
        """Return the exponential distribution of that *mean* in seconds, the one of the theory of M/M/c queues."""
        p50 = parse_duration("mean", mean) * math.log(2)
        return cls(p50, p50 * _EXPONENTIAL_P99, "exponential")

    @classmethod
    def constant(cls, seconds: float | timedelta) -> Self:
        """Return the one that takes so many *seconds* each time."""
        each = parse_duration("seconds", seconds)
        return cls(each, each, "constant")

    @property
    def mean(self) -> float:
        """The mean in seconds: what a server's capacity follows from."""
        if self.shape == "exponential":
            return self.p50 / math.log(2)
        return self.p50 * math.exp(self._sigma**2 / 2)

    @property
    def _sigma(self) -> float:
        if self.shape == "constant" or self.p99 <= self.p50 * (1 + _NEAREST):
            return 0.0
        return math.log(self.p99 / self.p50) / _P99

    def sampler(self, chance: random.Random, factor: float = 1.0) -> Callable[[], float]:
        """Return a function that draws a duration in seconds, *factor* times as long, by *chance*."""
        if self.shape == "exponential":
            rate = 1 / (self.mean * factor)
            return lambda: chance.expovariate(rate)
        middle, sigma = self.p50 * factor, self._sigma
        if not sigma:
            return lambda: middle
        normal, exp = chance.gauss, math.exp
        return lambda: middle * exp(normal(0.0, sigma))
