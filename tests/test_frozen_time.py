"""freezegun and time-machine move the wall clock, which dates in hints are compared with, and not the monotonic one."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator

import freezegun
import pytest
import time_machine

from resilience import circuit_breaker, fallback, retry_after, retry_on_category, subscribe
from resilience.clock import current_clock
from resilience.testing import no_waits

FROZEN = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.UTC)


class Busy(Exception):
    def __init__(self, date: str) -> None:
        self.headers = {"Retry-After": date}


@pytest.fixture(params=["freezegun", "time-machine"])
def at_noon(request: pytest.FixtureRequest) -> Iterator[Callable[[float], object]]:
    """Stop the wall clock at noon; what the test gets moves it on by seconds."""
    if request.param == "freezegun":
        with freezegun.freeze_time(FROZEN) as frozen:
            yield frozen.tick
    else:
        with time_machine.travel(FROZEN, tick=False) as traveller:
            yield traveller.shift


def test_a_date_is_compared_with_the_stopped_time(at_noon):
    assert current_clock().wall() == FROZEN.timestamp()
    busy = Busy("Tue, 01 Jan 2030 12:00:30 GMT")
    assert retry_after(busy) == 30
    at_noon(20)
    assert retry_after(busy) == 10
    at_noon(60)
    assert retry_after(busy) == 0


def test_a_retry_waits_until_the_date_that_the_server_gives(at_noon):
    waits: list[float] = []

    @retry_on_category(attempts=2)
    def fetch() -> None:
        raise Busy("Tue, 01 Jan 2030 12:00:07 GMT")

    with no_waits(), subscribe(lambda event: waits.append(getattr(event, "wait", 0))), pytest.raises(Busy):
        fetch()
    assert 7 <= max(waits) <= 7.7


def test_an_open_circuit_stays_open_however_far_the_time_moves(at_noon):
    circuit = circuit_breaker("frozen", failure_threshold=1, reset_timeout=30)
    with pytest.raises(ConnectionError), circuit:
        raise ConnectionError
    at_noon(3600)
    assert circuit.current_state == "open"


def test_a_stale_answer_ages_with_the_time_that_moves(at_noon):
    answers = iter(["lamp"])

    @fallback(stale={}, max_age=60, default="none")
    def fetch() -> str:
        for answer in answers:
            return answer
        raise ConnectionResetError

    assert fetch() == "lamp"
    at_noon(59)
    assert fetch() == "lamp"
    at_noon(2)
    assert fetch() == "none"


@pytest.mark.parametrize("library", ["freezegun", "time-machine"])
def test_afterwards_the_time_is_real(library: str):
    stop = {"freezegun": freezegun.freeze_time, "time-machine": time_machine.travel}[library]
    with stop(FROZEN):
        pass
    assert abs(current_clock().wall() - FROZEN.timestamp()) > 3600
