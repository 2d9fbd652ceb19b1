"""The smallest trouble that lasts, and advice with reasons."""

from __future__ import annotations

import math

import pytest

from resilience import RetryBudget, bulkhead, retry_on_category, timeout
from resilience.simulation import Latency, Scenario
from resilience.simulation._advice import advise, largest_load
from resilience.simulation._screen import Callers, Server
from resilience.simulation._trigger import find_trigger

SMALL = Scenario(rps=20, capacity=48, latency=Latency(p50=0.040, p99=0.200))
LARGE = Scenario(rps=1000, capacity=2400, clients=100)


@retry_on_category(attempts=3)
@timeout(1.0)
async def search() -> None: ...


@retry_on_category(attempts=3, budget=RetryBudget("advised"))
@bulkhead("advised", 10)
@timeout(1.0)
async def bounded() -> None: ...


@pytest.mark.slow  # a dozen simulations
def test_the_smallest_slowdown_that_lasts_is_found_by_bisection() -> None:
    found = find_trigger(search, SMALL, "slow", speed=0.2, longest=20)
    assert found.seconds is not None
    assert 0.1 <= found.survived < found.seconds < 10
    assert found.seconds <= found.survived * 1.05
    assert str(found).startswith(f"{found.target} does not come back from 0.2x the speed for ")


def test_a_function_with_a_budget_comes_back_from_the_longest_outage() -> None:
    found = find_trigger(bounded, SMALL, "outage", longest=20)
    assert (found.seconds, found.survived, found.runs) == (None, 20.0, 1)
    assert str(found).endswith("bounded comes back from an outage that refuses requests, even after 20 s of it.")


def test_a_kind_of_trouble_that_there_is_not_is_refused() -> None:
    with pytest.raises(
        ValueError, match="kind='outtage': give one of outage, hang, pause, slow; did you mean 'outage'"
    ):
        find_trigger(search, SMALL, "outtage")


def advice_for(function: object, scenario: Scenario = LARGE) -> dict[str, str]:
    assert callable(function)
    return {each.subject: each.set for each in advise(function, scenario)}


def test_a_stack_without_a_budget_gets_one_and_a_limit() -> None:
    advice = advice_for(search)
    assert advice["attempts"] == "keep it, with a budget"
    assert advice["budget"] == "RetryBudget(tokens=14, reserve=1)"
    assert advice["concurrency limit"] == "bulkhead limit 12"
    assert advice["largest load"] == "plan for 799 calls a second"


def test_a_stack_with_both_keeps_them() -> None:
    advice = advice_for(bounded)
    assert {advice["budget"], advice["concurrency limit"], advice["largest load"]} == {"keep it"}


def test_a_pool_is_sized_by_littles_law() -> None:
    mean = LARGE.latency.mean * 1000  # of one client that makes all calls
    expected = math.ceil(mean + 3 * math.sqrt(mean))
    pool = advice_for(search, Scenario(rps=1000, capacity=2400))["pool"]
    assert abs(int(pool.split()[0]) - expected) <= 1  # the workers are a whole number


def test_a_time_limit_that_cuts_off_good_answers_is_raised_to_the_latency() -> None:
    @timeout(0.1)
    async def hasty() -> None: ...

    assert advice_for(hasty)["time limit"] == "timeout 0.58 s"


def test_a_function_without_a_time_limit_gets_one() -> None:
    @retry_on_category(attempts=2)
    async def patient() -> None: ...

    assert advice_for(patient)["time limit"] == "timeout 0.58 s"


@pytest.mark.parametrize(("attempts", "expected"), [(1, 2400), (2, 1200), (3, 800), (4, 600)])
def test_the_largest_safe_load_without_a_budget_is_the_capacity_by_the_attempts(attempts: int, expected: int) -> None:
    server = Server(capacity=2400, p50=0.040, sigma=0.866, workers=140)
    found = largest_load(server, Callers(1000, attempts=attempts, time_limit=1.0))
    assert found == pytest.approx(expected, rel=0.05)
