"""The simulator against what is known: queueing theory, published collapses, and what it may cost."""

from __future__ import annotations

import time

import pytest

from benchmarks.simulation.theory import QUEUES, Queue, compare
from benchmarks.simulation.verdicts import KNOWN, Known
from resilience import standard
from resilience.simulation import Scenario, Slowdown, simulate

pytestmark = pytest.mark.slow  # hundreds of thousands of simulated calls


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_waits_and_refusals_are_those_of_theory(queue: Queue):
    assert compare(queue, calls=100_000).error < 0.03


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_known_verdicts_are_found(known: Known):
    result = known.simulate()
    assert known.holds(result), result


@standard("a server that is simulated")
def search(query: str) -> list[str]:
    raise AssertionError("never called")


def test_a_simulated_minute_of_a_thousand_calls_a_second_takes_little_processor_time():
    began = time.process_time()
    result = simulate(search, Scenario(rps=1000, capacity=2400, clients=20, duration=60))
    assert result.verdict == "safe"
    assert (
        time.process_time() - began < 40
    )  # 5 s on a machine with nothing else to do: `python -m benchmarks.simulation`


def test_a_million_clients_are_simulated_in_batches_of_the_same_law():
    trouble = (Slowdown(at=5, lasts=5, speed=0.5),)
    few = simulate(search, Scenario(rps=500, capacity=1200, clients=500, duration=20, events=trouble, seed=3))
    scenario = Scenario(rps=1e6, capacity=2.4e6, clients=10**6, duration=20, events=trouble, seed=3)
    many = simulate(search, scenario)
    assert scenario.batch is not None
    assert scenario.batch > 50
    assert sum(many.series.arrivals) == pytest.approx(20e6, rel=0.01)
    assert many.verdict == few.verdict
    assert many.amplification == pytest.approx(few.amplification, rel=0.05)
