from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from resilience import circuit_breaker, retry_on_category


@pytest.fixture
def eager_switching():
    """Switch threads as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_no_lock_is_held_while_calls_run():
    everyone_inside = threading.Barrier(16, timeout=10)
    breaker = circuit_breaker("b")
    guarded = breaker(everyone_inside.wait)
    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(lambda _: guarded(), range(16))) == list(range(16))


def test_no_lock_is_held_while_failing_calls_run():
    everyone_inside = threading.Barrier(16, timeout=10)
    breaker = circuit_breaker("b", failure_threshold=16)

    @breaker
    def fail() -> None:
        everyone_inside.wait()
        raise ConnectionResetError

    def call(_: int) -> None:
        with pytest.raises(ConnectionResetError):
            fail()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, range(16)))
    assert breaker.current_state == "open"


def test_failures_of_many_threads_are_all_counted(eager_switching: None):
    breaker = circuit_breaker("b", failure_threshold=10_000)

    @breaker
    def fail() -> None:
        raise ConnectionResetError

    def many(_: int) -> None:
        for _ in range(200):
            with pytest.raises(ConnectionResetError):
                fail()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(many, range(8)))
    assert breaker.fail_counter == 8 * 200


def test_users_of_one_decorated_function_never_see_each_others_attempts(eager_switching: None):
    @retry_on_category(attempts=3, base_delay=0)
    def third_time_lucky(tries: list[int]) -> int:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionResetError
        return len(tries)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: third_time_lucky([]), range(400))) == [3] * 400


def test_many_threads_at_a_half_open_circuit_send_one_probe(eager_switching: None):
    inside, most, lock = 0, 0, threading.Lock()
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=1000)

    @breaker
    def probe() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        for _ in range(50):
            pass
        with lock:
            inside -= 1
        raise TypeError  # decides nothing: the next one is a probe again

    def many(_: int) -> None:
        from resilience import CircuitOpenError

        for _ in range(100):
            with pytest.raises((TypeError, CircuitOpenError)):
                probe()

    breaker.half_open()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(many, range(8)))
    assert most == 1
    assert breaker.current_state == "half-open"


def test_a_thread_with_an_early_clock_reading_gets_no_second_probe():
    """A clock read before the lock, compared with one read by a thread that overtook, looks like one set back."""
    from resilience.clock import SystemClock

    granted = []

    class Overtaken(SystemClock):
        def now(self) -> float:
            before = super().now()
            if not breaker._circuit._lock._is_owned():  # read outside of the lock: another thread comes in first
                granted.append(breaker._circuit.acquire(SystemClock())[0])
            return before

    breaker = circuit_breaker("b", reset_timeout=1000)
    breaker.half_open()
    granted.append(breaker._circuit.acquire(Overtaken())[0])
    assert len([probe for probe in granted if probe is not None]) == 1
