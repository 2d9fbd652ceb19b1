from __future__ import annotations

import threading
import time

import anyio
import pytest

from resilience import CircuitBreaker, circuit_breaker
from resilience.clock import SystemClock, current_clock, using_clock


def test_the_clock_in_force_is_the_systems_unless_another_is_put_there():
    other = SystemClock()
    assert isinstance(current_clock(), SystemClock)
    with using_clock(other) as clock:
        assert current_clock() is clock is other
    assert current_clock() is not other


def test_the_systems_clock_moves_on_and_draws_numbers():
    clock = SystemClock()
    assert clock.now() <= clock.now()
    assert clock.wall() > 1_600_000_000
    assert 0 <= clock.random() < 1
    assert clock.random() != clock.random()


def test_a_real_sleep_takes_its_time():
    clock = SystemClock()
    before = clock.now()
    clock.sleep(0.001)
    assert clock.now() - before >= 0.001
    clock.sleep(0)
    clock.sleep(-1)


def test_a_real_sleep_ends_when_it_is_woken():
    wake = threading.Event()
    wake.set()
    SystemClock().sleep(3600, wake)


def test_a_real_wait_says_whether_it_was_done_in_time():
    done = threading.Event()
    assert SystemClock().run_and_wait(done.set, done, 3600)
    assert not SystemClock().run_and_wait(lambda: None, threading.Event(), 0.001)


def test_a_real_limit_ends_the_block_and_says_so(backend: str):
    async def main() -> tuple[bool, bool]:
        with SystemClock().move_on_after(0.001) as short:
            await anyio.sleep_forever()
        with SystemClock().move_on_after(3600) as long:
            await anyio.lowlevel.checkpoint()
        return short.expired, long.expired

    assert anyio.run(main, backend=backend) == (True, False)


class Stop(BaseException):
    pass


def open_with_a_watcher_that_stops() -> CircuitBreaker:
    import pybreaker

    class Stopping(pybreaker.CircuitBreakerListener):
        def before_call(self, cb, func, *args, **kwargs):
            raise Stop

    breaker = circuit_breaker("b", reset_timeout=30, listeners=[Stopping()])
    breaker.half_open()
    return breaker


def test_what_ends_the_program_before_a_block_begins_gives_the_probes_permit_back(backend: str):
    breaker = open_with_a_watcher_that_stops()
    with pytest.raises(Stop), breaker:
        pass
    assert breaker.state.permits == set()

    async def main() -> None:
        with pytest.raises(Stop):
            async with breaker:
                pass

    anyio.run(main, backend=backend)
    assert breaker.state.permits == set()


def test_the_wall_clock_is_looked_up_when_it_is_asked_as_freezegun_replaces_it(monkeypatch: pytest.MonkeyPatch):
    clock = SystemClock()
    monkeypatch.setattr(time, "time", lambda: 946_684_800.0)
    assert clock.wall() == 946_684_800.0
