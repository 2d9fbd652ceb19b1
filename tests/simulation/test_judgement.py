"""Judgement of a failure that outlasts its trouble, from what a run shows and from a harder one."""

from __future__ import annotations

import dataclasses

import pytest

from resilience import retry_on_category, timeout
from resilience.simulation import Latency, Pause, Scenario, simulate
from resilience.simulation._judgement import judge, lasts


@retry_on_category(attempts=3)
@timeout(1.0)
async def search() -> None: ...


SMALL = Scenario(
    rps=20, capacity=48, latency=Latency(p50=0.040, p99=0.200), duration=31.7, events=(Pause(at=5, lasts=7),)
)


def with_queue(lengths: list[int]) -> bool:
    """Whether the failure lasts in a run in which no call comes back, with these lengths of the queue at the end."""
    result = simulate(search, SMALL)
    result.recovery = None
    result.series.answered = [0] * len(result.series)
    result.series.queue[-len(lengths) :] = lengths
    return lasts(result)


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        (list(range(100, 121)), True),
        ([100] * 21, True),
        (list(range(120, 99, -1)), False),
        ([0] * 21, True),
        ([*range(100, 120), 0], True),
    ],
    ids=["grows", "stays", "gets shorter", "is empty", "is not known of the last, begun second"],
)
def test_a_failure_lasts_unless_the_queue_gets_shorter(lengths: list[int], expected: bool) -> None:
    assert with_queue(lengths) is expected


def test_a_function_that_came_back_is_vulnerable_where_harder_trouble_lasts() -> None:
    harmless = dataclasses.replace(SMALL.events[0], lasts=0.2)
    calm = Scenario(rps=20, capacity=48, latency=SMALL.latency, duration=20, events=(harmless,))
    judgement = judge(search, calm)
    assert judgement.result.recovery == 0.0
    assert judgement.verdict == "vulnerable"
