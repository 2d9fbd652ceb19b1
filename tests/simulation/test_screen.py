"""The analytic screen: fixed points of the load, and the verdict that follows from them."""

from __future__ import annotations

import math

import pytest

from resilience import RetryBudget, bulkhead, circuit_breaker, deadline, retry_on_category, timeout
from resilience.simulation import Outage, Pause, Resize, Scenario, Slowdown, Surge
from resilience.simulation._callers import callers_of, not_screened
from resilience.simulation._screen import Callers, Phase, Server, screen, settle
from resilience.simulation._screening import phases_of, screen_function, server_of

SERVER = Server(capacity=2400, p50=0.040, sigma=0.866, workers=140)
SLOW = [Phase(30, 60, speed=0.3)]


def verdict(**options: object) -> str:
    callers = Callers(**{"calls": 1000, "attempts": 3, "time_limit": 1.0, **options})  # type: ignore[arg-type]
    return screen(SERVER, callers, SLOW, 120).verdict


def test_three_attempts_without_a_budget_do_not_come_back_from_a_slow_server() -> None:
    assert verdict() == "metastable"


def test_two_attempts_are_safe_where_the_server_can_do_both() -> None:
    assert verdict(attempts=2) == "safe"


def test_a_budget_makes_three_attempts_safe() -> None:
    assert verdict(tokens=500, cost=14, reserve=1) == "safe"


def test_the_reserves_of_many_small_clients_are_no_budget() -> None:
    assert verdict(tokens=500, cost=14, reserve=1, clients=5000) == "metastable"


def test_a_limit_below_what_the_server_answers_within_the_time_limit_makes_it_safe() -> None:
    assert verdict(limit=20, clients=100) == "safe"  # 2000 slots of 1 s each: 2000 requests a second at most
    assert verdict(limit=30, clients=100) == "metastable"


def test_a_limit_below_the_calls_in_flight_by_littles_law_is_overload() -> None:
    assert verdict(limit=50) == "overloaded"  # 1000 calls a second of 58 ms are 58 in flight


def test_a_circuit_breaker_ends_the_state_of_failure() -> None:
    assert verdict(reset_timeout=30.0, clients=10) == "safe"


def test_a_short_trouble_leaves_a_vulnerable_function_where_it_was() -> None:
    callers = Callers(1000, attempts=3, time_limit=1.0)
    assert screen(SERVER, callers, [Phase(30, 30.2, speed=0.3)], 120).verdict == "vulnerable"


def test_more_calls_than_capacity_are_overload_whatever_the_policies_are() -> None:
    assert screen(SERVER, Callers(2500, attempts=1, time_limit=1.0)).verdict == "overloaded"


def test_a_time_limit_below_the_latency_is_overload() -> None:
    assert verdict(time_limit=0.05, attempts=1) == "overloaded"


def test_the_bad_fixed_point_is_the_load_of_all_attempts() -> None:
    good, tips, bad = settle(SERVER, Callers(1000, attempts=3, time_limit=1.0))
    assert good == pytest.approx(1000, rel=0.02)
    assert tips == pytest.approx(2400, rel=0.02)
    assert bad == pytest.approx(3000, rel=0.02)


def test_there_is_one_fixed_point_without_retries() -> None:
    good, tips, bad = settle(SERVER, Callers(1000, time_limit=1.0))
    assert (good is not None, tips, bad) == (True, None, None)


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_retries_are_a_geometric_series_of_the_failing_share(attempts: int) -> None:
    expected = (1 - 0.5**attempts) / 0.5 - 1
    assert Callers(100, attempts=attempts).retries(0.5) == pytest.approx(expected)


def test_a_deadline_ends_the_attempts_that_would_begin_after_it() -> None:
    assert Callers(100, attempts=5, time_limit=1.0, deadline=2.5, waits=(0.1,)).tries == 3


def test_the_share_of_failures_is_that_of_the_latency_where_no_request_waits() -> None:
    assert SERVER.fails(100, 0.300) == pytest.approx(0.01, abs=0.001)


def test_a_bounded_queue_answers_what_the_server_can_do_within_the_time_limit() -> None:
    server = Server(capacity=100, p50=0.01, sigma=0.0, workers=1, queue=10)
    assert server.fails(200, 1.0) == pytest.approx(0.5)


def test_no_answer_comes_in_time_from_a_queue_longer_than_the_time_limit() -> None:
    server = Server(capacity=100, p50=0.01, sigma=0.0, workers=1, queue=200)
    assert server.fails(200, 1.0) == 1.0


def test_a_stack_is_read_as_numbers() -> None:
    @deadline(10)
    @retry_on_category(attempts=4, base_delay=1, jitter="none", budget=RetryBudget(tokens=100, reserve=2))
    @circuit_breaker("screened circuit", reset_timeout=20)
    @bulkhead("screened limit", 7)
    @timeout(3)
    def search() -> None: ...

    expected = Callers(
        calls=50,
        clients=5,
        attempts=4,
        time_limit=3.0,
        deadline=10.0,
        waits=(1.0, 2.0, 4.0),
        tokens=100,
        cost=14.0,
        reserve=2.0,
        limit=7,
        reset_timeout=20.0,
    )
    assert callers_of(search, calls=50, clients=5) == expected
    assert not_screened(search) == []


def test_a_retry_of_other_failures_than_time_outs_adds_no_load() -> None:
    @retry_on_category("rate_limit", attempts=4)
    @timeout(3)
    def search() -> None: ...

    assert callers_of(search, calls=50, clients=5).attempts == 1


def test_a_function_without_policies_is_refused() -> None:
    with pytest.raises(TypeError, match="is not guarded: decorate it"):
        callers_of(len, 1, 1)


def test_the_events_of_a_scenario_become_phases() -> None:
    events = (
        Outage(at=1, lasts=2),
        Outage(at=1, lasts=2, mode="hang"),
        Slowdown(at=3, lasts=math.inf, speed=0.5),
        Resize(at=1, lasts=1, workers=0.25),
        Pause(at=5, lasts=1),
        Surge(at=0, lasts=9, times=3),
    )
    assert phases_of(events) == [
        Phase(1, 3, down=True),
        Phase(1, 3, down=True, refuses=False),
        Phase(3, math.inf, speed=0.5),
        Phase(1, 2, workers=0.25),
        Phase(5, 6, speed=0.0),
        Phase(0, 9, times=3),
    ]


def test_a_permanent_loss_of_half_the_workers_is_followed_to_its_end() -> None:
    @retry_on_category(attempts=3)
    @timeout(1.0)
    def search() -> None: ...

    lost = Scenario(rps=1500, capacity=2400, duration=60, events=(Resize(at=10, lasts=math.inf, workers=0.5),))
    assert screen_function(search, lost).verdict == "metastable"


def test_the_capacity_of_the_screened_server_is_that_of_the_scenario() -> None:
    server = server_of(Scenario(rps=10, capacity=100))
    assert server.workers / server.mean == pytest.approx(100)
