"""`simulate_layers`: functions whose servers call the next one, where retries multiply and deadlines travel."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from resilience import Pipeline, RetryBudget, deadline, fallback, retry_on_category, timeout
from resilience.simulation import (
    Latency,
    LayeredSimulation,
    Outage,
    Pause,
    Scenario,
    Slowdown,
    Surge,
    simulate,
    simulate_layers,
)

HEALTHY = Scenario(rps=50, capacity=2000, latency=Latency(p50=0.02, p99=0.1), duration=60, seed=1)
DOWN = dataclasses.replace(HEALTHY, events=(Outage(at=10, lasts=30),))


def guarded_by(*policies: Any) -> Callable[..., Any]:
    @Pipeline(*policies)
    def request() -> None:
        raise AssertionError("the body is never called")

    return request


async def bare() -> None:
    raise AssertionError("the body is never called")


def three_attempts(**options: Any) -> Callable[..., Any]:
    return guarded_by(retry_on_category(attempts=3, base_delay=0.01, **options))


def with_back_down(*functions: Callable[..., Any], **options: Any) -> LayeredSimulation:
    return simulate_layers(functions, [HEALTHY] * (len(functions) - 1) + [DOWN], **options)


@pytest.mark.slow  # seconds of simulation
def test_three_attempts_on_each_of_three_layers_are_27_times_the_load():
    result = with_back_down(three_attempts(), three_attempts(), three_attempts())
    assert result.amplification_in_trouble == pytest.approx(27, rel=0.03)
    assert [layer.parts()[1].amplification for layer in result.layers] == pytest.approx([3, 3, 3], rel=0.03)
    assert [layer.parts()[0].amplification for layer in result.layers] == [1, 1, 1]
    assert "The last server gets" in str(result)


def test_retries_on_one_layer_only_are_three_times_the_load():
    result = with_back_down(guarded_by(timeout(5)), guarded_by(timeout(5)), three_attempts())
    assert result.amplification_in_trouble == pytest.approx(3, rel=0.03)


def test_with_a_budget_on_each_layer_it_is_less_than_one_and_a_half_times():
    functions = [three_attempts(budget=RetryBudget(f"layer {depth}")) for depth in range(3)]
    result = with_back_down(*functions)
    assert 1 < result.amplification_in_trouble < 1.5


def test_a_substitute_of_a_middle_layer_is_an_answer_for_the_one_before_it():
    result = with_back_down(three_attempts(), guarded_by(fallback(default=None)), three_attempts())
    front, middle, _ = result.layers
    assert front.parts()[1].answered > 0.99
    assert middle.parts()[1].substituted > 0.99


def test_one_layer_is_a_simulation_as_every_other():
    alone = simulate(three_attempts(), DOWN)
    assert simulate_layers([three_attempts()], [DOWN]).layers[0].series == alone.series


def test_a_slow_back_keeps_the_workers_of_the_front():
    front = dataclasses.replace(HEALTHY, rps=100, capacity=400, workers=None)
    slow = Slowdown(at=10, lasts=10, speed=0.02)
    back = dataclasses.replace(front, capacity=2000, workers=None, events=(slow,))
    result = simulate_layers([guarded_by(timeout(1)), bare], [front, back])
    assert max(result.layers[0].series.queue) > 100
    assert result.layers[0].parts()[1].answered < 0.5


def test_a_deadline_that_travels_spares_the_back_the_calls_that_have_been_given_up():
    front = dataclasses.replace(HEALTHY, rps=100, capacity=4000, workers=None)
    back = dataclasses.replace(front, capacity=150, workers=None, events=(Pause(at=10, lasts=10),))
    functions = [guarded_by(deadline(0.5)), bare]
    without, with_it = (simulate_layers(functions, [front, back], deadlines=travels) for travels in (False, True))
    assert without.layers[0].wasted > 800  # all that came while the back stood still
    assert without.verdict == "vulnerable"
    assert with_it.layers[1].wasted < 100
    assert with_it.verdict == "safe"


def test_requests_that_a_server_loses_in_an_outage_make_no_further_calls():
    front = dataclasses.replace(HEALTHY, events=(Outage(at=10, lasts=10),))
    back = dataclasses.replace(HEALTHY, events=(Outage(at=5, lasts=20, mode="hang"),))
    forever = guarded_by(retry_on_category(attempts=50, base_delay=0.5, max_delay=0.5), timeout(0.5))
    result = simulate_layers([bare, forever], [front, back])
    assert sum(result.layers[1].series.sent[12:19]) == 0


def test_a_server_that_stands_still_answers_only_when_it_goes_on():
    front = dataclasses.replace(HEALTHY, events=(Pause(at=10, lasts=5),), in_time=3.0)
    back = dataclasses.replace(HEALTHY, workers=None, latency=Latency.constant(1.0), in_time=3.0)
    result = simulate_layers([bare, bare], [front, back])
    # The back answers in the pause the calls that began in the second before it.
    assert result.layers[1].series.answered[9] == result.layers[1].series.arrivals[9]
    assert result.layers[0].series.late[9] >= 0.9 * result.layers[0].series.arrivals[9]
    assert result.layers[0].series.late[7] == 0


@pytest.mark.slow  # seconds of simulation
def test_the_same_seed_gives_the_same_bytes():
    first, again = (with_back_down(three_attempts(), three_attempts(), deadlines=True) for _ in range(2))
    assert [layer.to_json() for layer in first.layers] == [layer.to_json() for layer in again.layers]


@pytest.mark.parametrize(
    ("scenarios", "match"),
    [
        ([HEALTHY], "scenarios=1"),
        ([HEALTHY, dataclasses.replace(HEALTHY, rps=10)], "rps=10"),
        ([HEALTHY, dataclasses.replace(HEALTHY, duration=10)], "duration=10"),
        ([HEALTHY, dataclasses.replace(HEALTHY, events=(Surge(at=1, lasts=1),))], "events="),
    ],
)
def test_scenarios_that_do_not_fit_are_refused(scenarios: list[Scenario], match: str):
    with pytest.raises(ValueError, match=match):
        simulate_layers([bare, bare], scenarios)
