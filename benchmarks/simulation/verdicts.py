"""Verdicts that are known, from experience and from the literature: which function comes back, and which does not.

* A server that works at half its speed for 30 s: three attempts without a budget keep it down (N. Bronson et al.,
  Metastable Failures in Distributed Systems, HotOS 2021, section 2.1); with a retry budget it comes back.
* A server that loses half of its workers, and calls that time out: without a limit of the calls in flight it works on
  calls that have been given up, with a limit of 25 it is back at once.
* A pause of the server at 70 % load, as of a garbage collector, ends in a collapse where calls are retried
  (L. Huang et al., Metastable Failures in the Wild, OSDI 2022, section 5.3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from resilience import Pipeline, RetryBudget, bulkhead, retry_on_category, timeout
from resilience._runtime.pipeline import Decorator
from resilience.simulation import Latency, Pause, Resize, Scenario, Simulation, Slowdown, simulate

__all__ = ["KNOWN", "Known"]


class Known(NamedTuple):
    """Policies in a scenario, and whether the function comes back within so many seconds; None: never."""

    name: str
    policies: Callable[[], Decorator]
    scenario: Scenario
    back_within: float | None

    def simulate(self) -> Simulation:
        """Simulate a function with these policies."""

        @self.policies()
        async def request() -> None:
            """Stand for a request."""

        return simulate(request, self.scenario)

    def holds(self, result: Simulation) -> bool:
        """Whether *result* is what is known."""
        if self.back_within is None:
            return result.recovery is None and result.verdict == "metastable"
        return result.recovery is not None and result.recovery <= self.back_within


_SLOW = Scenario(
    rps=100,
    capacity=140,
    latency=Latency(p50=0.040, p99=0.300),
    duration=120,
    events=(Slowdown(at=20, lasts=30, speed=0.5),),
    seed=1,
)
_HALVED = Scenario(
    rps=300,
    workers=20,
    latency=Latency(p50=0.044, p99=0.141),  # 50 ms in the mean
    duration=150,
    events=(Resize(at=30, lasts=60, workers=0.5),),
    in_time=1.0,
    seed=1,
)
_PAUSED = Scenario(
    rps=140,
    capacity=200,
    latency=Latency(p50=0.040, p99=0.300),
    duration=100,
    events=(Pause(at=20, lasts=5),),
    seed=1,
)


def _three_attempts() -> Decorator:
    return Pipeline(retry_on_category(attempts=3), timeout(0.5))


def _budget() -> Decorator:
    return Pipeline(retry_on_category(attempts=3, budget=RetryBudget("server", tokens=50)), timeout(0.5))


def _time_limit() -> Decorator:
    return timeout(1.0)


def _limited() -> Decorator:
    return Pipeline(bulkhead("server", 25), timeout(1.0))


KNOWN = (
    Known("half the speed for 30 s, three attempts without a budget", _three_attempts, _SLOW, None),
    Known("half the speed for 30 s, three attempts with a budget", _budget, _SLOW, 60),
    Known("half the workers for 60 s, no limit", _time_limit, _HALVED, None),
    Known("half the workers for 60 s, a limit of 25", _limited, _HALVED, 1),
    Known("a pause of 5 s at 70 % load, three attempts without a budget", _three_attempts, _PAUSED, None),
    Known("a pause of 5 s at 70 % load, three attempts with a budget", _budget, _PAUSED, 30),
)
