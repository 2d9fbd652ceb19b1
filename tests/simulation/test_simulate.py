"""`simulate`: the function's own policies, the model of the server, and no trace of either in the process."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import random
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import tenacity

from resilience import (
    Pipeline,
    RetryBudget,
    adaptive_limit,
    bulkhead,
    circuit_breaker,
    circuits,
    deadline,
    fallback,
    hedge,
    rate_limit,
    retry_on_category,
    standard,
    subscribe,
    throttle,
    timeout,
)
from resilience.metrics import track_errors
from resilience.policies.base import Policy, Steps
from resilience.policies.protocol import Call, Proceed, Slots
from resilience.simulation import (
    Failures,
    Latency,
    Outage,
    Pause,
    Resize,
    Scenario,
    Simulation,
    Slowdown,
    Surge,
    simulate,
    simulate_wrapped,
)
from resilience.simulation._plot import svg
from resilience.testing import virtual_time

QUIET = Scenario(rps=50, capacity=200, latency=Latency(p50=0.02, p99=0.1), duration=20, seed=1)
DOWN = dataclasses.replace(QUIET, events=(Outage(at=5, lasts=5),))


def guarded_by(*policies: Any) -> Callable[..., Any]:
    @Pipeline(*policies)
    def search(query: str = "lamp") -> list[str]:
        raise AssertionError("the body is never called")

    return search


# -- whose policies run -----------------------------------------------------------------------------------------------


def test_the_bodys_place_is_taken_by_the_server_and_the_policies_are_the_functions_own():
    result = simulate(guarded_by(retry_on_category(attempts=2, base_delay=0.01)), DOWN)
    assert result.parts()[1].amplification == pytest.approx(2, rel=0.05)
    assert result.parts()[0].amplification == 1
    assert [str(part) for part in result.stack] == [
        "retry_on_category(transient, attempts=2, base_delay=0.01, max_delay=60, jitter=equal)"
    ]


def test_a_function_without_policies_makes_one_request_for_each_call():
    async def bare() -> None:
        raise AssertionError("the body is never called")

    assert simulate(bare, DOWN).amplification == 1


def test_decorators_of_others_around_a_guarded_function_are_looked_through():
    import functools

    inner = guarded_by(retry_on_category(attempts=2, base_delay=0.01))

    @functools.wraps(inner)
    def outer(*arguments: object) -> object:
        raise AssertionError("never called")

    assert simulate(outer, DOWN).amplification == simulate(inner, DOWN).amplification > 1


def test_a_stream_is_a_call_that_ends_with_its_items():
    @retry_on_category(attempts=2, base_delay=0.01)
    async def items() -> AsyncIterator[int]:
        raise AssertionError("never called")
        yield 1

    result = simulate(items, DOWN)
    assert result.parts()[1].amplification == pytest.approx(2, rel=0.05)


def test_every_policy_of_the_toolkit_can_be_simulated():
    stack = guarded_by(
        fallback(default=[]),
        deadline(5),
        retry_on_category(attempts=2, budget=RetryBudget("all of them")),
        circuit_breaker("all of them", partial=True),
        throttle("all of them"),
        rate_limit("all of them", "500/s"),
        adaptive_limit("all of them"),
        bulkhead("all of them", 50),
        hedge("p95", to_threads=True),
        timeout(1.0),
    )
    result = simulate(stack, DOWN)
    assert result.parts()[0].answered > 0.98  # what runs when the server goes down is lost
    assert result.parts()[1].substituted > 0.9


def test_policies_with_a_key_get_the_arguments_that_are_given():
    stack = guarded_by(
        circuit_breaker("hosts of the simulation", key=lambda host: host),
        bulkhead("hosts of the simulation", 5, key=lambda host: host),
        rate_limit("hosts of the simulation", "500/s", key=lambda host: host),
    )
    result = simulate(stack, DOWN, arguments=lambda chance: (chance.choice("abc"),))
    assert result.parts()[1].rejected > 0.5
    with pytest.raises(RuntimeError, match="arguments="):
        simulate(stack, DOWN)


def test_a_policy_of_the_users_own_runs_on_a_copy_with_slots_of_its_own():
    class Limited(Policy):
        def __init__(self) -> None:
            self.slots = Slots(1)
            self.seen: list[str] = []

        def run(self, call: Call) -> Steps:
            self.seen.append(call.target)
            self.slots.try_acquire()  # never given back
            return (yield Proceed())

    mine = Limited()
    assert simulate(guarded_by(mine), QUIET).verdict == "safe"
    assert (mine.slots.free, mine.seen) == (1, [])


def test_other_libraries_are_simulated_by_what_they_wrap_around_a_request():
    def wrap(request: Callable[..., Any]) -> Callable[..., Any]:
        return tenacity.retry(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_fixed(0.01))(request)

    assert simulate_wrapped(wrap, DOWN).parts()[1].amplification == pytest.approx(2, rel=0.05)


# -- each client has its own ------------------------------------------------------------------------------------------


def test_each_client_has_a_circuit_of_its_own_and_many_small_ones_open_later():
    stack = guarded_by(circuit_breaker("of each client", failure_threshold=5, reset_timeout=60))
    few, many = (simulate(stack, dataclasses.replace(DOWN, clients=clients)) for clients in (1, 20))
    assert few.parts()[1].rejected > 0.95
    assert many.parts()[1].rejected < 0.75


def test_two_retries_of_one_budget_share_the_copy_of_it():
    budget = RetryBudget("shared", tokens=28, reserve=0)
    stack = guarded_by(
        retry_on_category("server_error", attempts=2, budget=budget),
        retry_on_category("network", attempts=3, budget=budget, base_delay=0.01),
    )
    result = simulate(stack, dataclasses.replace(DOWN, failing=0.0))
    assert sum(result.series.sent) - sum(result.series.arrivals) < 20
    assert budget.left() == 28


# -- no trace ---------------------------------------------------------------------------------------------------------


def test_circuits_budgets_listeners_and_random_numbers_of_the_process_see_nothing():
    budget, called = RetryBudget("untouched"), list[object]()
    circuit = circuit_breaker("untouched by simulations", failure_threshold=2)
    stack = guarded_by(retry_on_category(attempts=3, budget=budget, on_retry=called.append), circuit)
    state, kept = random.getstate(), circuits.all_circuits()
    # Other tests leave open circuits: they are kept, and the time until their next probe stands still.
    with virtual_time():
        before = circuits.snapshot()
        with subscribe(called.append):
            simulate(stack, DOWN)
        assert (budget.left(), circuit.current_state, called) == (500, "closed", [])
        assert random.getstate() == state
        assert circuits.snapshot() == before
    assert circuits.all_circuits() == kept


def test_answers_in_place_of_a_failure_are_counted_and_their_functions_are_not_called():
    def never(*_: object) -> list[str]:
        raise AssertionError("never called")

    stack = guarded_by(fallback(factory=never, chain={"timeout": never}), timeout(1.0))
    result = simulate(stack, DOWN)
    assert result.parts()[1].substituted > 0.9
    stale: dict[object, object] = {}
    kept = simulate(guarded_by(fallback(stale=stale), timeout(1.0)), DOWN)
    assert kept.parts()[1].answered == 1  # an answer that is kept is the server's own
    assert stale == {}


def test_calls_for_metrics_are_not_counted():
    from resilience.metrics._call_stats import CALL_STATS

    @track_errors(component="simulated")
    @timeout(1.0)
    def counted() -> None:
        raise AssertionError("never called")

    simulate(counted, QUIET)
    totals = CALL_STATS.for_target("counted", "simulated").totals()
    assert totals.success.calls == 0


def test_the_deadline_and_the_switches_of_the_caller_do_not_hold():
    from resilience import settings

    stack = guarded_by(retry_on_category(attempts=2, base_delay=0.01))
    with deadline(0.01), settings.disabled():
        inside = simulate(stack, DOWN)
    assert inside.to_json() == simulate(stack, DOWN).to_json()


def test_it_runs_where_an_event_loop_runs_already():
    async def notebook() -> str:
        return simulate(guarded_by(timeout(1.0)), QUIET).verdict

    assert asyncio.run(notebook()) == "safe"


# -- the same run -----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_one_others():
    stack = guarded_by(standard("the same bytes"))
    scenario = dataclasses.replace(DOWN, clients=3, events=(Outage(at=5, lasts=3, mode="hang"), Pause(at=12, lasts=1)))
    first, again = simulate(stack, scenario), simulate(stack, scenario)
    assert first.to_json() == again.to_json()
    assert svg(first) == svg(again)
    assert simulate(stack, dataclasses.replace(scenario, seed=2)).to_json() != first.to_json()


# -- the server -------------------------------------------------------------------------------------------------------


def bare(scenario: Scenario) -> Simulation:
    return simulate_wrapped(lambda request: request, scenario)


def test_a_request_stays_in_the_queue_when_its_caller_has_left():
    scenario = dataclasses.replace(QUIET, rps=150, events=(Pause(at=5, lasts=5),))
    result = simulate(guarded_by(timeout(0.5)), scenario)
    assert result.wasted > 600  # all that came while it stood still, but for the last half of a second
    assert max(result.series.queue) > 600


def test_a_bounded_queue_refuses():
    result = bare(dataclasses.replace(QUIET, rps=300, queue=10))
    assert sum(result.series.failed) > 1500
    assert max(result.series.queue) <= 10


@pytest.mark.parametrize("mode", ["refuse", "hang"])
def test_an_outage_refuses_at_once_or_hangs_until_it_is_over(mode: Any):
    result = bare(dataclasses.replace(QUIET, events=(Outage(at=5, lasts=5, mode=mode),)))
    assert result.parts()[1].failed == pytest.approx(1, abs=0.01)
    assert result.recovery == 0


@pytest.mark.parametrize(
    ("event", "capacity"),
    [
        (Slowdown(at=0, lasts=math.inf, speed=0.5), 100),
        (Resize(at=0, lasts=math.inf, workers=0.4), 80),
        (Pause(at=0, lasts=0.5, every=1.0), 100),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, int) else "",
)
def test_disturbances_leave_the_capacity_that_they_say(event: Any, capacity: int):
    result = bare(dataclasses.replace(QUIET, rps=400, events=(event,), in_time=math.inf, duration=40))
    done = sum(result.series.arrivals) - result.series.queue[-1]
    assert done / 40 == pytest.approx(capacity, rel=0.1)


def test_a_surge_brings_more_calls():
    result = bare(dataclasses.replace(QUIET, arrivals="regular", events=(Surge(at=5, lasts=5, times=3),)))
    assert [part.calls for part in result.parts()] == [50, 150, 50]


def test_users_of_a_closed_loop_wait_for_their_answers_and_cannot_overload_it():
    closed = dataclasses.replace(QUIET, arrivals="closed", rps=50, events=(Slowdown(at=5, lasts=10, speed=0.1),))
    result = bare(closed)
    assert result.parts()[0].calls == pytest.approx(50, rel=0.15)
    assert result.parts()[1].calls < 45


def test_the_clients_own_time_limit_and_random_failures_raise_what_they_are_told_to():
    import httpx

    def answered() -> Exception:
        return httpx.ConnectTimeout("simulated")

    seen = []

    def wrap(request: Callable[..., Any]) -> Callable[..., Any]:
        async def call() -> object:
            try:
                return await request()
            except Exception as error:
                seen.append(type(error))
                raise

        return call

    scenario = dataclasses.replace(QUIET, failing=0.2, client_timeout=0.05, failures=Failures(timed_out=answered))
    simulate_wrapped(wrap, scenario)
    assert set(seen) == {ConnectionResetError, httpx.ConnectTimeout}


# -- the result -------------------------------------------------------------------------------------------------------


def test_progress_is_reported_each_simulated_second():
    seen: list[float] = []
    simulate(guarded_by(timeout(1.0)), QUIET, progress=seen.append)
    assert seen == pytest.approx([(second + 1) / 20 for second in range(20)])


def test_the_document_and_the_picture_hold_the_series_and_the_conclusion():
    result = simulate(guarded_by(timeout(1.0)), DOWN)
    document = json.loads(result.to_json())
    assert len(document["series"]["arrivals"]) == 20
    assert (
        document["conclusion"]
        == result.conclusion
        == "Safe: calls are answered again as soon as the trouble has ended."
    )
    picture = ET.fromstring(svg(result))
    assert result.conclusion in "".join(picture.itertext())
    for word in ("before", "during", "after", "requests per call"):
        assert word in str(result)


@pytest.mark.parametrize(
    ("scenario", "verdict"),
    [
        (dataclasses.replace(QUIET, rps=300), "overloaded"),
        (QUIET, "safe"),
        (dataclasses.replace(QUIET, rps=150, events=(Outage(at=5, lasts=2),)), "safe"),
        (dataclasses.replace(QUIET, rps=150, duration=60, events=(Pause(at=5, lasts=9),)), "vulnerable"),
        (dataclasses.replace(QUIET, rps=190, duration=40, events=(Pause(at=5, lasts=9),)), "metastable"),
    ],
)
def test_the_verdict_says_whether_the_function_comes_back(scenario: Scenario, verdict: str):
    result = bare(dataclasses.replace(scenario, in_time=0.5))
    assert result.verdict == verdict
    assert result.conclusion.lower().startswith(verdict)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Scenario(rps=0, capacity=1), "rps=0"),
        (lambda: Scenario(rps=10), "give capacity=, requests a second, or workers="),
        (lambda: Scenario(rps=10, capacity=100, workers=10), "workers=10: give none beside"),
        (lambda: Scenario(rps=10, capacity=1), "capacity=1"),
        (lambda: Scenario(rps=10, capacity=100, failing=2), "failing=2"),
        (lambda: Scenario(rps=10, capacity=100, events=("outage",)), "events="),  # type: ignore[arg-type]
        (lambda: Scenario(rps=10, capacity=100, arrivals="bursts"), "arrivals="),  # type: ignore[arg-type]
        (lambda: Latency(p50=0.3, p99=0.1), "p99=0.1"),
        (lambda: Outage(at=-1, lasts=5), "at=-1"),
        (lambda: Outage(at=1, lasts=5, mode="die"), "mode='die'"),  # type: ignore[arg-type]
        (lambda: Slowdown(at=1, lasts=5, speed=0), "speed=0"),
        (lambda: Pause(at=1, lasts=5, every=3), "every=3"),
        (lambda: simulate(None, QUIET), "give a function"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_written(make: Callable[[], object], match: str):
    with pytest.raises((TypeError, ValueError), match=match):
        make()
