"""Circuits that share their state through pybreaker's Redis storage, on a real server that really dies."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pybreaker
import pytest

from resilience import CircuitBreaker, CircuitOpenError, ErrorCategory, circuit_breaker
from resilience.testing import virtual_time
from tests.integrations.pybreaker.test_storage import call
from tests.redis_server import Server
from tests.runners import Runner

down = ConnectionResetError("down")


class Busy(Exception):
    category = ErrorCategory.RATE_LIMIT

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def shared(server: Server, threshold: int = 2, **more: object) -> CircuitBreaker:
    return circuit_breaker("shared", failure_threshold=threshold, reset_timeout=30, storage=server.storage(), **more)


def test_failures_of_two_circuits_on_one_server_are_counted_together(server: Server, runner: Runner):
    one, two = shared(server), shared(server)
    runner.play(one, down)
    runner.play(two, down)
    assert (one.fail_counter, two.state.name) == (1, "open")
    story = runner.play(one, "never")
    assert isinstance(story.answer, CircuitOpenError)
    assert story.reached == 0


def test_a_circuit_that_one_process_closes_is_closed_in_the_other(server: Server, runner: Runner):
    one, two = shared(server), shared(server)
    one.open()
    assert runner.play(two, "never").reached == 0
    one.close()
    assert runner.play(two, "ok").answer == "ok"
    assert two.state.name == "closed"


def test_pybreakers_redis_storage_has_the_attributes_that_are_used(server: Server):
    storage = server.storage()
    keys = [storage._namespace(name) for name in ("state", "opened_at", "fail_counter")]
    assert storage._redis.mget(keys) == [b"closed", None, b"0"]
    assert storage._cluster_mode is False


def test_a_server_that_dies_leaves_each_circuit_to_itself(
    server: Server, runner: Runner, caplog: pytest.LogCaptureFixture
):
    one, two = shared(server), shared(server)
    assert runner.play(one, "ok").answer == "ok"
    server.kill()
    story = runner.play(one, "ok", down, down, "never", pauses=(0, 0, 0))
    assert story.answers[0] == "ok"
    assert isinstance(story.answers[3], CircuitOpenError)
    assert (one.state.name, two.state.name) == ("open", "closed")
    ((_, where, line),) = caplog.record_tuples  # and none of pybreaker's
    assert (where, line.split(";")[0]) == (
        logging.WARNING,
        "shared store CircuitRedisStorage of circuit 'shared' raised ConnectionError",
    )


def test_a_server_that_dies_closes_no_circuit_that_was_open(server: Server, runner: Runner):
    """pybreaker's storage answers "closed" when it cannot be reached: every open circuit admitted every call."""
    one, two = shared(server), shared(server)
    one.open()
    assert runner.play(two, "never").reached == 0
    server.kill()
    for breaker in (one, two):
        assert runner.play(breaker, "never").reached == 0
        assert breaker.state.name == "open"


def test_a_server_that_hangs_hangs_one_call_for_a_moment(
    server: Server, runner: Runner, caplog: pytest.LogCaptureFixture
):
    """redis-py waits for ever by default."""
    with caplog.at_level(logging.INFO), virtual_time(patience=0.2) as clock:
        breaker = shared(server)
        with server.stopped():
            began = time.monotonic()
            assert [call(runner, breaker, what) for what in ("ok", down, "ok", down)] == ["ok", down, "ok", down]
            assert time.monotonic() - began < 2  # the patience once, not eight times
            assert clock.now() == 1
        for _ in range(100):  # until the server runs again
            clock.advance(30)
            call(runner, breaker)
            if len(caplog.records) > 1:
                break
        assert isinstance(call(runner, breaker, down), ConnectionResetError)
        assert isinstance(call(runner, breaker, down), ConnectionResetError)
        assert isinstance(call(runner, shared(server)), CircuitOpenError)
    name = "shared store CircuitRedisStorage of circuit 'shared'"
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        f"{name} gave no answer within 1 s",
        f"{name} is back",
    ]


def test_a_server_that_hangs_for_long_is_left_with_few_threads(server: Server):
    with virtual_time(patience=0.2) as clock:
        breaker = shared(server, threshold=1000)
        before = threading.active_count()
        with server.stopped():
            for _ in range(50):
                breaker.call(lambda: "ok")
                clock.advance(30)
            assert threading.active_count() - before <= 2


def test_a_server_that_hangs_costs_one_operation_timeout_by_the_systems_clock(server: Server):
    breaker = shared(server)
    with server.stopped():
        began = time.monotonic()
        assert [breaker.call(lambda: "ok") for _ in range(100)] == ["ok"] * 100
        assert 1 <= time.monotonic() - began < 1.9


def test_a_server_that_comes_back_empty_closes_nothing(server: Server, runner: Runner):
    with virtual_time() as clock:
        one, two = shared(server), shared(server)
        one.open()
        assert isinstance(call(runner, two), CircuitOpenError)
        server.kill()
        server.start()
        newcomer = shared(server)  # whose storage writes "closed" where there is nothing
        for _ in range(2):
            clock.advance(5)
            assert isinstance(call(runner, one), CircuitOpenError)
        assert isinstance(call(runner, two), CircuitOpenError)
        assert isinstance(call(runner, newcomer), CircuitOpenError)
        assert newcomer.circuit.state.until == 30


def test_a_success_writes_nothing_and_asks_once(server: Server, runner: Runner):
    breaker = shared(server)
    watching = server.client()
    with watching.monitor() as monitor, virtual_time():
        for what in ("ok", "ok", down, "ok", "ok"):
            call(runner, breaker, what)
        watching.ping()
        commands = []
        for heard in monitor.listen():
            if heard["command"] == "PING":
                break
            commands.append(heard["command"].split()[0])
    assert [each for each in commands if each not in ("CLIENT", "HELLO")] == [
        *("MGET", "MGET"),
        *("MGET", "INCRBY"),
        *("MGET", "SET"),
        "MGET",
    ]


@pytest.mark.parametrize("cluster", [False, True])
@pytest.mark.parametrize("text", [False, True])
def test_a_client_that_decodes_and_a_cluster_are_followed_too(
    server: Server, runner: Runner, text: bool, cluster: bool
):
    with virtual_time() as clock:
        one, two = (
            circuit_breaker("b", failure_threshold=2, storage=server.storage(text=text, cluster=cluster))
            for _ in range(2)
        )
        call(runner, one, down), call(runner, two, down)
        assert isinstance(call(runner, one), CircuitOpenError)
        clock.advance(60)
        assert (call(runner, two), call(runner, one)) == ("ok", "ok")
        assert (one.state.name, two.state.name) == ("closed", "closed")


class Lasting(pybreaker.CircuitRedisStorage):
    """A user's own: what it writes is forgotten after a day."""

    @property
    def state(self) -> str:
        return super().state

    @state.setter
    def state(self, state: str) -> None:
        self._redis.set(self._namespace("state"), state, ex=86_400)

    def increment_counter(self) -> None:
        super().increment_counter()
        self._redis.expire(self._namespace("fail_counter"), 86_400)


def test_a_storage_made_of_pybreakers_is_asked_in_its_own_way(
    server: Server, runner: Runner, caplog: pytest.LogCaptureFixture
):
    one, two = (circuit_breaker("b", failure_threshold=2, storage=server.storage(Lasting)) for _ in range(2))
    redis = server.client()
    with virtual_time() as clock:
        call(runner, one, down), call(runner, two, down)
        assert isinstance(call(runner, one), CircuitOpenError)
        assert redis.ttl("test:pybreaker:state") > 0
        assert redis.ttl("test:pybreaker:fail_counter") > 0
        server.kill()
        clock.advance(1)
        for _ in range(3):
            assert isinstance(call(runner, two), CircuitOpenError)
    ((_, _, line),) = caplog.record_tuples
    assert line.startswith("shared store Lasting of circuit 'b' raised ConnectionError; ")


def test_pybreaker_itself_still_logs_what_it_swallows(server: Server, caplog: pytest.LogCaptureFixture):
    storage = server.storage()
    breaker = circuit_breaker("b", storage=storage)
    server.kill()
    breaker.call(lambda: "ok")
    assert storage.counter == 0
    assert [name for name, *_ in caplog.record_tuples] == ["resilience", "pybreaker"]


def test_a_retry_after_opens_the_circuits_of_other_processes_for_that_long(server: Server, runner: Runner):
    with virtual_time() as clock:
        one, two = (shared(server, open_for="rate_limit") for _ in range(2))
        clock.advance(0.5)
        call(runner, one, Busy(300))
        clock.advance(10)
        rejected = call(runner, two)
        assert isinstance(rejected, CircuitOpenError)
        assert rejected.retry_after == pytest.approx(290.5)  # the store keeps whole seconds


def test_pybreakers_own_circuit_sees_what_ours_wrote(server: Server):
    """And the time it opened, to the second before."""
    with virtual_time() as clock:
        clock.advance(0.7)
        breaker = shared(server)
        breaker.open()
        theirs = server.storage()
        assert (theirs.state, theirs.opened_at.timestamp()) == ("open", 946_684_800)
