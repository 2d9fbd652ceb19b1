"""A probe that is slow, of a circuit that knows slow calls, is no recovery."""

import pytest

from resilience import circuit_breaker
from resilience.circuits import CircuitBreaker
from resilience.testing import VirtualClock, virtual_time
from tests.runners import Runner, Takes


def probed(runner: Runner, seconds: float, **options: object) -> CircuitBreaker:
    breaker = circuit_breaker("search", reset_timeout=30, **options)  # type: ignore[arg-type]
    breaker.half_open()
    runner.play(breaker, Takes(seconds))
    return breaker


@pytest.mark.parametrize(("seconds", "state"), [(1.9, "closed"), (2.0, "open"), (10.0, "open")])
def test_a_slow_success_of_a_probe_reopens_a_circuit_that_knows_slow_calls(runner: Runner, seconds: float, state: str):
    breaker = probed(runner, seconds, slow_call_rate=0.5, slow_call_seconds=2)
    assert breaker.state.name == state


def test_a_circuit_that_does_not_know_slow_calls_closes(runner: Runner):
    assert probed(runner, 1000.0, probe_timeout=2000).state.name == "closed"


def test_slow_probes_count_as_failed_ones_where_some_may_fail(clock_and_breaker: tuple[VirtualClock, CircuitBreaker]):
    clock, breaker = clock_and_breaker
    for seconds in (5, 0, 0):
        with breaker:
            clock.advance(seconds)
    assert breaker.current_state == "closed"


@pytest.fixture
def clock_and_breaker():
    with virtual_time() as clock:
        breaker = circuit_breaker(
            "search", slow_call_rate=0.5, slow_call_seconds=2, success_threshold=2, close_rate=0.6
        )
        breaker.half_open()
        yield clock, breaker
