from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile

import pytest

from resilience.cli.demo.shared_counters import RequestCounter

REQUEST = b"GET /items HTTP/1.1\r\nHost: x\r\nX-Sender: %s\r\n\r\n"


class ServerProcess:
    """The server's process, ordered about by hand."""

    def __init__(self, counts) -> None:
        command = [
            sys.executable,
            "-m",
            "resilience.cli.demo.server",
            "--counter",
            str(counts.fileno()),
            "--late",
            "60",
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[counts.fileno()], text=True
        )
        assert json.loads(self.process.stdout.readline()) == {"pid": self.process.pid}
        self.port = self.order(port=0)["port"]

    def order(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def counts():
    with tempfile.TemporaryFile() as file:
        yield file


@pytest.fixture
def server(counts):
    server = ServerProcess(counts)
    yield server
    server.close()


def ask(wire: socket.socket, sender: bytes = b"protected/0") -> bytes:
    wire.sendall(REQUEST % sender)
    return wire.recv(1000)


def test_the_server_answers_by_its_mode_and_counts_requests_by_client(server, counts):
    with RequestCounter(counts.fileno()) as counter, server.connect() as wire:
        before = [counter.read(side, 3) for side in ("protected", "bare")]
        assert ask(wire, b"protected/3").startswith(b"HTTP/1.1 200 OK\r\n")
        assert ask(wire, b"bare/3").startswith(b"HTTP/1.1 200 OK\r\n")
        assert server.order(mode="unavailable") == {"mode": "unavailable"}
        refused = ask(wire, b"bare/3")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in refused
        ask(wire, b"stranger/3")
        ask(wire, b"bare/99")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        after = [counter.read(side, 3) for side in ("protected", "bare")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 2], "counts outlive the process"


def test_resetting_breaks_connections_that_wait_and_every_new_one(server):
    with server.connect() as wire:
        assert b"200 OK" in ask(wire)
        server.order(mode="reset")
        with pytest.raises(ConnectionResetError):
            wire.recv(1)
    for _ in range(8):  # some before the request, as soon as the connection is there, some in the middle of the answer
        with pytest.raises((ConnectionResetError, BrokenPipeError)), server.connect() as wire:
            wire.sendall(REQUEST % b"bare/0")
            while wire.recv(1000):
                pass


def test_it_ends_when_its_stdin_is_closed(server):
    with server.connect() as wire:
        assert b"200 OK" in ask(wire)
        server.process.stdin.close()
        assert server.process.wait(timeout=20) == 0


def test_the_next_process_gets_the_port_of_the_one_that_was_killed(server, counts):
    server.process.kill()
    server.process.wait()
    again = ServerProcess(counts)
    try:
        assert again.order(port=server.port) == {"port": server.port}
    finally:
        again.close()
