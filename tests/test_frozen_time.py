"""freezegun moves the wall clock, which dates in hints are compared with, and leaves the monotonic one."""

from __future__ import annotations

import datetime

import freezegun
import pytest

from resilience import circuit_breaker, retry_after
from resilience.clock import current_clock

FROZEN = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.UTC)


class Busy(Exception):
    def __init__(self, date: str) -> None:
        self.headers = {"Retry-After": date}


def test_a_date_is_compared_with_the_frozen_time():
    with freezegun.freeze_time(FROZEN) as frozen:
        assert current_clock().wall() == FROZEN.timestamp()
        busy = Busy("Tue, 01 Jan 2030 12:00:30 GMT")
        assert retry_after(busy) == 30
        frozen.tick(20)
        assert retry_after(busy) == 10
    assert current_clock().wall() != FROZEN.timestamp()


def test_an_open_circuit_stays_open_however_far_the_frozen_time_moves():
    circuit = circuit_breaker("frozen", failure_threshold=1, reset_timeout=30)
    with freezegun.freeze_time(FROZEN) as frozen:
        with pytest.raises(ConnectionError), circuit:
            raise ConnectionError
        frozen.tick(3600)
        assert circuit.current_state == "open"
