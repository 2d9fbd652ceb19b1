"""A zygote that forks the processes of a fleet: one for each line on its stdin, whose pid it prints.

A line is the name of a part below and its arguments as JSON. The processes are forked from one that has imported all,
as those of a server with ``--preload`` are.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import resilience.events  # noqa: F401 - before the forks, not with the first event of each
from resilience import CircuitOpenError, circuit_breaker, subscribe
from resilience.fleet import Fleet
from resilience.fleet._redis_store import RedisStore


def caller(url: str, port: int, reset: float, lease: float, pause: float, seconds: float = 3600.0) -> None:
    """Call the dependency at *port* again and again.

    A probe says when its lease ends and when it was asked for, and how late this process was scheduled: the most by
    which one of its last sleeps was too long.
    """
    late: deque[float] = deque(maxlen=40)

    def pause_for(seconds: float) -> None:
        wakes = time.monotonic() + seconds
        time.sleep(seconds)
        late.append(time.monotonic() - wakes)

    # Patient: the processes of a machine that is too small for them wait for the processor, not for the server.
    fleet = Fleet(url, name="bench", timeout=3.0)
    payments = circuit_breaker("payments", fleet=fleet, reset_timeout=reset, probe_timeout=lease, failure_threshold=2)

    @payments
    def call() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            circuit: Any = payments.circuit
            # A probe by a lease, or a call that this process decides about alone.
            kind = "probe" if circuit.held and not fleet.lost else "lost" if fleet.lost else "alone"
            permits = circuit.state.permits
            ends = max((permit.until for permit in permits), default=0.0)
            asked = max((permit.acquired_at for permit in permits), default=0.0)
            connection.sendall(f"{os.getpid()} {kind} {ends} {asked} {max(late, default=0.0)}\n".encode())
            if connection.recv(16) != b"ok":
                raise ConnectionResetError

    for _ in range(10):
        pause_for(0.01)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            call()
        except (CircuitOpenError, OSError):
            pass
        pause_for(pause)


def timer(url: str | None, path: str, seconds: float) -> None:
    """Make calls that do nothing, and write their durations and failures to *path*, second by second."""
    fleet = None if url is None else Fleet(url, name="bench")

    @circuit_breaker("quick", failure_threshold=2, fleet=fleet)
    def quick() -> int:
        return 0

    quick()
    took: list[list[int]] = []
    failed = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found: list[int] = []
        second = time.monotonic() + 1.0
        while time.monotonic() < second:
            for _ in range(50):
                began = time.perf_counter_ns()
                try:
                    quick()
                except Exception:
                    failed += 1
                found.append(time.perf_counter_ns() - began)
            time.sleep(0.005)
        took.append(found)
    Path(path).write_text(json.dumps({"took": took, "failed": failed}))


def listener(url: str, path: str, seconds: float, deaf: bool) -> None:
    """Write the monotonic time of each event of a circuit to *path*. One that is *deaf* has no news, only beats."""
    if deaf:
        RedisStore.listen = lambda *_: lambda: None  # type: ignore[method-assign]
    fleet = Fleet(url, name="bench")
    heard = circuit_breaker("heard", fleet=fleet, failure_threshold=2)
    with Path(path).open("w", buffering=1) as file:
        subscribe(lambda event: file.write(f"{event.name} {time.monotonic()}\n"))
        heard.call(int)
        file.write(f"ready {time.monotonic()}\n")
        time.sleep(seconds)


PARTS: dict[str, Callable[..., None]] = {"caller": caller, "timer": timer, "listener": listener}


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps them
    for line in sys.stdin:
        part, arguments = json.loads(line)
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                PARTS[part](**arguments)
            finally:
                os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
