"""A call may be cancelled at every point of its way through a circuit, also while listeners are notified."""

from __future__ import annotations

import gc
import itertools

import pybreaker
import pytest

from resilience import circuit_breaker, retry_on_category, subscribe, timeout
from resilience._outcome import Outcome
from resilience._runtime.circuit_context import calls_here, still_running
from resilience._runtime.protocol import Call, Proceed
from resilience._runtime.sync_runner import perform
from resilience.clock import using_clock
from resilience.testing import VirtualClock, virtual_time
from tests.manual_call import ManualCall

down = ConnectionResetError("down")


@pytest.mark.parametrize("outcome", [Outcome("ok"), Outcome(None, down)], ids=["success", "failure"])
def test_a_probe_cancelled_at_any_point_gives_its_permit_back_or_has_been_recorded(outcome: Outcome):
    recorded = []
    for point in itertools.count(1):
        with using_clock(clock := VirtualClock()):
            listeners = [pybreaker.CircuitBreakerListener()]
            breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=10, listeners=listeners)
            breaker.open()
            clock.advance(10)
            unsubscribe = subscribe(lambda event: None)
            try:
                call = Call("cancelled", len)
                steps = breaker.circuit.run(call)
                answer: object = None
                for _ in range(point):
                    effect = steps.send(answer)
                    answer = outcome if isinstance(effect, Proceed) else perform(effect, call)
            except StopIteration:
                break
            finally:
                unsubscribe()
            steps.close()
            assert not still_running(calls_here())  # of another test one may have ended
            assert breaker.probes_in_flight == 0
            recorded.append(breaker.state.name)
            if breaker.state.name == "half-open":
                with breaker:  # another probe may come at once
                    pass
                assert breaker.state.name == "closed"
    # The listener before the call, of the transition, its event, the listener of the admission, the call itself.
    before = ["open"] + ["half-open"] * 4
    # The listener of the outcome, of the transition, its event.
    assert recorded == before + (["closed"] if outcome.error is None else ["open"]) * 3


def test_a_rejected_call_cancelled_while_its_event_is_emitted_leaves_the_probe_in_flight_alone():
    with using_clock(VirtualClock()):
        breaker = circuit_breaker("b")
        breaker.half_open()
        probe = ManualCall(breaker.circuit)
        unsubscribe = subscribe(lambda event: None)
        try:
            call = Call("rejected", len)
            steps = breaker.circuit.run(call)
            next(steps)
            steps.close()
        finally:
            unsubscribe()
        assert breaker.probes_in_flight == 1
        probe.end(Outcome("ok"))
        assert breaker.state.name == "closed"


def test_a_probe_that_is_collected_gives_its_permit_back():
    with using_clock(VirtualClock()):
        breaker = circuit_breaker("b")
        breaker.half_open()
        probe = ManualCall(breaker.circuit)
        assert breaker.probes_in_flight == 1
        del probe
        assert breaker.probes_in_flight == 0
        assert breaker.state.name == "half-open"


def test_a_call_that_failure_if_makes_does_not_belong_to_the_probe():
    inner: list[object] = []

    def judge(value: object) -> bool:
        inner.append(calls_here())
        return False

    with using_clock(VirtualClock()):
        breaker = circuit_breaker("b", failure_if=judge)
        breaker.half_open()
        assert breaker.call(lambda: len(calls_here())) == 1
        assert inner == [()]
        assert breaker.state.name == "closed"


# -- circuits by key ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limited", [False, True])
def test_a_report_shows_the_state_of_the_circuit_of_the_calls_key(limited: bool):
    breaker = circuit_breaker("hosts", key=lambda host: host, failure_threshold=5)
    breaker.of("healthy")

    @retry_on_category(attempts=2, base_delay=0)
    @(timeout(30) if limited else lambda function: function)  # a sync time limit runs the inner call in a thread
    @breaker
    def fetch(host: str) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError) as caught:
        fetch("down")
    assert caught.value.resilience.circuits == ("circuit 'hosts' closed, 2 failures in a row",)


def test_a_report_shows_no_circuit_where_the_key_function_failed():
    breaker = circuit_breaker("hosts", key=lambda host: 1 // 0)

    @retry_on_category(attempts=2, base_delay=0, retry_if=lambda error: True)
    @breaker
    def fetch(host: str) -> None: ...

    with virtual_time(), pytest.raises(ZeroDivisionError) as caught:
        fetch("down")
    assert caught.value.resilience.circuits == ()


class Unhashable:
    def __hash__(self) -> int:
        raise KeyError("hash")


@pytest.mark.parametrize("key", [lambda: 1 // 0, list, Unhashable])
def test_a_key_that_fails_leaves_nothing_to_the_garbage_collector(key):
    breaker = circuit_breaker("hosts", key=key)
    call = breaker(lambda: None)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            try:
                call()
            except (ZeroDivisionError, TypeError):
                pass
        assert gc.collect() == 0
    finally:
        gc.enable()
