"""The lane of a process and a real server: killed, stopped, flushed; forks, and the end of the program."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from resilience import CircuitOpenError, circuit_breaker, subscribe
from resilience.fleet import Fleet
from resilience.metrics._collector import Collector
from resilience.metrics.definitions import FLEET_LOST
from tests.redis_server import Server

LONG = 60.0
"""Seconds after which a test that waits for something has failed."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def fleets(server: Server) -> Iterator[Callable[..., Fleet]]:
    made: list[Fleet] = []

    def make(**options: object) -> Fleet:
        made.append(Fleet(server.client(), **{"name": "shop", "timeout": 5.0, **options}))
        return made[-1]

    yield make
    for fleet in made:
        listener = getattr(fleet._lane._stop_listening, "__self__", None)
        fleet._lane.close(LONG)
        if listener is not None:
            listener.join(LONG)
        if fleet._operator is not None:
            fleet._operator.close()


def until(true: Callable[[], object]) -> None:
    """Wait until something is true, which other threads make so."""
    ends = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.005)


def opened(fleets: Callable[..., Fleet], name: str, **options: object):
    """Return the circuits of two processes, which the fleet has opened."""
    given = {"failure_threshold": 1, "reset_timeout": 60} | options
    breakers = [circuit_breaker(name, fleet=fleets(), **given) for _ in range(2)]
    for breaker in breakers:
        breaker.call(int)
        until(breaker.circuit._lane.is_current)
    for breaker in breakers:
        fail(breaker)
    until(lambda: all(breaker.circuit.held for breaker in breakers))
    return breakers


def fail(breaker) -> None:
    with pytest.raises(ConnectionResetError):
        breaker.call(_reset)


def _reset() -> None:
    raise ConnectionResetError


def lanes() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("resilience-fleet")]


def test_no_thread_and_no_connection_before_the_first_call(server: Server, fleets: Callable[..., Fleet]):
    before = len(lanes())
    breaker = circuit_breaker("idle of a fleet", fleet=fleets())
    assert len(lanes()) == before
    breaker.call(int)
    until(lambda: len(lanes()) == before + 2)


def test_the_circuits_of_two_processes_open_and_close_together(fleets: Callable[..., Fleet]):
    one, two = opened(fleets, "together", reset_timeout=0.2)
    with pytest.raises(CircuitOpenError):
        two.call(int)
    until(lambda: _passes(one) or _passes(two))
    until(lambda: [one.current_state, two.current_state] == ["closed", "closed"])


def _passes(breaker) -> bool:
    try:
        breaker.call(int)
    except CircuitOpenError:
        return False
    return True


def test_a_killed_server_fails_no_call_and_is_logged_once(
    server: Server, fleets: Callable[..., Fleet], caplog: pytest.LogCaptureFixture
):
    events = []
    breaker = circuit_breaker("killed server", fleet=fleets(name="killed"), failure_threshold=2)
    breaker.call(int)
    fleet = breaker.circuit.config.fleet
    until(breaker.circuit._lane.is_current)
    with subscribe(lambda event: events.append(event.name)), caplog.at_level(logging.INFO, "resilience"):
        assert Collector().read(FLEET_LOST)["killed",] == 0
        server.kill()
        until(lambda: fleet.lost)
        assert Collector().read(FLEET_LOST)["killed",] == 1
        assert breaker.call(int) == 0
        fail(breaker)
        fail(breaker)
        assert breaker.current_state == "open", "it decides by itself"
        server.start()
        until(lambda: not fleet.lost)
    assert [name for name in events if name.startswith("fleet")] == ["fleet.lost", "fleet.restored"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_server_that_is_stopped_slows_no_call(server: Server, fleets: Callable[..., Fleet]):
    breaker = circuit_breaker("stopped server", fleet=fleets())
    breaker.call(int)
    until(breaker.circuit._lane.is_current)
    with server.stopped():
        assert [breaker.call(int) for _ in range(10_000)] == [0] * 10_000


def test_a_flushed_server_closes_nothing_and_is_told(server: Server, fleets: Callable[..., Fleet]):
    one, two = opened(fleets, "flushed server")
    server.client().flushall()
    until(lambda: one.circuit.config.fleet.snapshot()["circuits"])
    assert [one.current_state, two.current_state] == ["open", "open"]
    late = circuit_breaker("flushed server", fleet=fleets())
    until(lambda: not _passes(late))


def test_a_server_that_cannot_be_reached_is_no_reason_not_to_start():
    fleet = Fleet("redis://127.0.0.1:1/0", name="shop")
    breaker = circuit_breaker("unreachable server", fleet=fleet)
    assert breaker.call(int) == 0
    until(lambda: fleet.lost)
    assert breaker.call(int) == 0
    fleet.close()


def test_the_circuits_of_a_fleet_that_is_closed_decide_by_themselves(fleets: Callable[..., Fleet]):
    one, _ = opened(fleets, "closed fleet", reset_timeout=0.1)
    one.circuit.config.fleet.close()
    until(lambda: _passes(one))
    assert one.current_state == "closed"


def test_a_fleet_that_is_closed_leaves_no_connection(server: Server, fleets: Callable[..., Fleet]):
    client = server.client()
    fleet = fleets()
    circuit_breaker("closed connections", fleet=fleet).call(int)
    fleet.snapshot()
    until(lambda: len(client.client_list()) == 4)
    fleet.close()
    until(lambda: len(client.client_list()) == 1)


def test_an_operator_is_told_where_the_server_cannot_be_reached():
    with pytest.raises(Exception, match="refused"):
        Fleet("redis://127.0.0.1:1/0", name="shop").isolate("payments", by="ada")


def test_a_process_that_leaves_is_no_longer_counted(fleets: Callable[..., Fleet]):
    one, two = fleets(), fleets()
    for fleet in (one, two):
        circuit_breaker("leaving", fleet=fleet).call(int)
    until(lambda: len(one.snapshot()["nodes"]) == 2)
    two.close()
    until(lambda: len(one.snapshot()["nodes"]) == 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_after_the_lane_has_started_has_its_own(fleets: Callable[..., Fleet]):
    breaker = circuit_breaker("forked", fleet=fleets(), failure_threshold=1)
    breaker.call(int)
    lane = breaker.circuit._lane
    until(lane.is_current)
    node = lane.node
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            breaker.call(int)
            until(lane.is_current)
            fail(breaker)  # with the parent, two votes
            code = int(lane.node == node)
            os.write(writing, b"1")
            until(lambda: breaker.circuit.held)
        finally:
            os._exit(code)
    os.read(reading, 1)
    fail(breaker)
    until(lambda: breaker.circuit.held)
    _, status = os.waitpid(pid, 0)
    os.close(reading)
    os.close(writing)
    assert os.waitstatus_to_exitcode(status) == 0
    assert lane.node == node


def test_the_thread_of_a_fleet_leaves_the_random_numbers_of_the_program_alone(fleets: Callable[..., Fleet]):
    """A program that has seeded `random` draws the same numbers whether the thread runs or not."""
    fleet = fleets()
    random.seed(7)
    state = random.getstate()
    breaker = circuit_breaker("seeded fleet", fleet=fleet)
    assert breaker.call(int, "4") == 4
    until(lambda: fleet._lane._beat_at > 0)
    assert 0 <= fleet._lane._chance() < 1
    assert random.getstate() == state
