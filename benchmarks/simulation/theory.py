"""Queues of which theory knows the answer: M/M/c by Erlang C, M/M/c/K by its stationary distribution.

Formulas: L. Kleinrock, Queueing Systems, volume 1, 1975, sections 3.5 (M/M/m) and 3.6 (M/M/m/m and bounded queues).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from resilience.simulation import Latency, Scenario, Simulation, simulate

__all__ = ["QUEUES", "Comparison", "Queue", "compare"]

_SERVICE = 0.1


class Queue(NamedTuple):
    """*workers* of 0.1 s in the exponential mean at a *load* of their capacity; so many may wait, None: any number."""

    workers: int
    load: float
    waiting: int | None = None

    @property
    def name(self) -> str:
        """Kendall's notation."""
        bound = "" if self.waiting is None else f"/{self.workers + self.waiting}"
        return f"M/M/{self.workers}{bound}, load {self.load:g}"

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.load * self.workers / _SERVICE

    def expected(self) -> tuple[float, float]:
        """Return the mean time in the system in seconds, and the share of requests that are refused."""
        offered = self.load * self.workers  # in Erlang
        places = 2000 if self.waiting is None else self.workers + self.waiting
        weights = [1.0]
        for number in range(1, places + 1):
            weights.append(weights[-1] * offered / min(number, self.workers))
        whole = math.fsum(weights)
        refused = 0.0 if self.waiting is None else weights[-1] / whole
        inside = math.fsum(number * weight for number, weight in enumerate(weights)) / whole
        return inside / (self.rate * (1 - refused)), refused


QUEUES = (
    Queue(1, 0.5),
    Queue(1, 0.7),
    Queue(4, 0.8),
    Queue(20, 0.9),
    Queue(1, 0.8, 4),
    Queue(4, 0.9, 8),
    Queue(20, 1.2, 20),
)


class Comparison(NamedTuple):
    """The figures of theory and of the simulation for a queue: seconds in the mean, and the share that is refused."""

    queue: Queue
    expected: tuple[float, float]
    found: tuple[float, float]

    @property
    def error(self) -> float:
        """The larger of the relative errors; of what is refused, in relation to all requests."""
        time = abs(self.found[0] / self.expected[0] - 1)
        return max(time, abs(self.found[1] - self.expected[1]))


async def _request() -> None:
    """Stand for a bare request."""


def compare(queue: Queue, calls: int = 200_000, seed: int = 1) -> Comparison:
    """Simulate about so many *calls* of a bare function, and compare them with theory."""
    scenario = Scenario(
        rps=queue.rate,
        workers=queue.workers,
        latency=Latency.exponential(_SERVICE),
        queue=queue.waiting,
        duration=math.ceil(calls / queue.rate),
        network=0,
        in_time=math.inf,
        seed=seed,
    )
    result: Simulation = simulate(_request, scenario)
    found = result.mean or 0.0
    failed = sum(result.series.failed) / sum(result.series.arrivals)
    return Comparison(queue, queue.expected(), (found, failed))
