"""Permits that are acquired and ended by hand: for callbacks, futures and two-step protocols."""

import gc
import threading

import pytest

from resilience import CircuitOpenError, circuit_breaker
from resilience.circuits import CircuitBreaker
from resilience.settings import disabled
from resilience.testing import VirtualClock, virtual_time


def half_open(clock: VirtualClock, **options: object) -> CircuitBreaker:
    breaker = circuit_breaker("billing", failure_threshold=1, reset_timeout=30, **options)  # type: ignore[arg-type]
    breaker.open()
    clock.advance(30)
    return breaker


def test_a_permit_that_failed_counts_as_a_failed_call():
    with virtual_time():
        breaker = circuit_breaker("billing", failure_threshold=2)
        breaker.acquire().failed(ConnectionResetError())
        assert breaker.fail_counter == 1
        breaker.acquire().failed(ConnectionResetError())
        with pytest.raises(CircuitOpenError, match="'billing' is open after 2 failures"):
            breaker.acquire()


def test_a_permit_that_succeeded_closes_a_half_open_circuit():
    with virtual_time() as clock:
        breaker = half_open(clock)
        permit = breaker.acquire()
        assert (breaker.current_state, breaker.probes_in_flight) == ("half-open", 1)
        permit.succeeded()
        assert breaker.current_state == "closed"


def test_a_result_is_judged_as_that_of_a_call():
    breaker = circuit_breaker("billing", failure_threshold=1, failure_if=lambda result: result == 503)
    breaker.acquire().succeeded(200)
    assert breaker.current_state == "closed"
    breaker.acquire().succeeded(503)
    assert breaker.current_state == "open"


def test_a_released_permit_decides_nothing_and_admits_the_next_probe():
    with virtual_time() as clock:
        breaker = half_open(clock)
        permit = breaker.acquire()
        assert not breaker.would_admit()
        permit.release()
        permit.release()
        assert breaker.current_state == "half-open"
        assert breaker.would_admit()


def test_a_permit_ends_once():
    breaker = circuit_breaker("billing", failure_threshold=2)
    permit = breaker.acquire()
    permit.failed(ConnectionResetError())
    for again in (permit.succeeded, lambda: permit.failed(ConnectionResetError())):
        with pytest.raises(RuntimeError, match="this permit of circuit 'billing' has ended"):
            again()
    permit.release()
    assert breaker.fail_counter == 1
    assert repr(permit) == "<Permit of circuit 'billing', ended>"


def test_a_permit_may_end_in_another_thread_and_only_one_of_many_ends_it():
    breaker = circuit_breaker("billing", failure_threshold=100)
    permit = breaker.acquire()
    refused: list[RuntimeError] = []

    def end() -> None:
        try:
            permit.failed(ConnectionResetError())
        except RuntimeError as error:
            refused.append(error)

    threads = [threading.Thread(target=end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (breaker.fail_counter, len(refused)) == (1, 7)


def test_a_permit_that_is_collected_is_given_back():
    with virtual_time() as clock:
        breaker = half_open(clock)
        breaker.acquire()
        gc.collect()
        assert breaker.would_admit()


def test_a_permit_that_is_lost_holds_a_probes_place_until_its_lease_ends():
    with virtual_time() as clock:
        breaker = half_open(clock, probe_timeout=5)
        lost = breaker.acquire()
        clock.advance(4)
        assert not breaker.would_admit()
        clock.advance(1)
        breaker.acquire().succeeded()
        assert breaker.current_state == "closed"
        lost.failed(ConnectionResetError())  # late: it decides nothing
        assert breaker.current_state == "closed"


def test_calls_beside_a_permit_are_calls_of_their_own():
    with virtual_time() as clock:
        breaker = half_open(clock)
        permit = breaker.acquire()
        with pytest.raises(CircuitOpenError):
            breaker.call(len, "ab")
        permit.succeeded()


def test_a_permit_that_is_acquired_within_a_probe_belongs_to_the_probe():
    with virtual_time() as clock:
        breaker = half_open(clock)
        with breaker:
            breaker.acquire().failed(ConnectionResetError())
        assert breaker.current_state == "closed"


def test_an_isolated_circuit_admits_none_and_a_disabled_one_records_nothing():
    breaker = circuit_breaker("billing", failure_threshold=1)
    breaker.isolate()
    assert not breaker.would_admit()
    with pytest.raises(CircuitOpenError):
        breaker.acquire()
    breaker.disable()
    breaker.acquire().failed(ConnectionResetError())
    assert breaker.current_state == "closed"


def test_with_policies_switched_off_a_permit_admits_and_records_nothing():
    breaker = circuit_breaker("billing", failure_threshold=1)
    breaker.open()
    with disabled():
        permit = breaker.acquire()
    permit.failed(ConnectionResetError())
    assert breaker.fail_counter == 0


@pytest.mark.parametrize("scope", [{"key": lambda host: host}, {"per_instance": True}])
def test_a_circuit_for_each_key_or_object_says_whose_permit_to_acquire(scope: dict[str, object]):
    breaker = circuit_breaker("hosts", **scope)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"has a circuit for each (key|instance): call of\("):
        breaker.acquire()
    breaker.of(breaker).acquire().succeeded()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), None, "failed", ConnectionResetError])
def test_only_an_exception_is_a_failure(error: object):
    permit = circuit_breaker("billing").acquire()
    with pytest.raises(TypeError, match=r"failed\(.*\): give an Exception; release\(\) is for"):
        permit.failed(error)  # type: ignore[arg-type]
    permit.succeeded()
