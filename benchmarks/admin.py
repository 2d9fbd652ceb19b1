"""The time that the admin application takes to list many circuits: ``uv run python -m benchmarks.admin``.

10,000 circuits of keys, a tenth of them open, are listed again and again through the WSGI application, as the page asks
for them. Printed are the 50th and the 99th percentile, in milliseconds. ``--check`` fails where the 99th percentile of
the processor's time is above 20 ms: another program on the machine adds to the time of the wall, and not to that.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from resilience import circuit_breaker
from resilience.admin import AdminApplication, admin

__all__ = ["main"]

_LIMIT = 20.0  # milliseconds
_PATHS = ("/circuits", "/circuits?name=host-99", "/circuits?limit=1000", "/health", "/events")


def main(argv: list[str] | None = None) -> int:
    """Print a line for each path; return 1 where one of `/circuits` is above the limit and *argv* has ``--check``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admin", description=__doc__.partition("\n")[0])
    parser.add_argument("--circuits", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--check", action="store_true", help=f"1 where the p99 of /circuits is above {_LIMIT:g} ms")
    arguments = parser.parse_args(argv)
    with contextlib.closing(admin(token="benchmark")) as application:
        kept = _make_circuits(arguments.circuits)
        print(
            f"{arguments.circuits} circuits, {arguments.requests} requests, milliseconds of the processor (of the wall)"
        )
        slowest = 0.0
        for path in _PATHS:
            times = _times(application, path, arguments.requests)
            shown = [
                f"p{percent} {_at(times[0], percent):6.2f} ({_at(times[1], percent):6.2f})" for percent in (50, 99)
            ]
            print(f"{path:<26} {'   '.join(shown)}")
            if path == "/circuits":
                slowest = _at(times[0], 99)
        del kept
    if arguments.check and slowest > _LIMIT:
        print(f"/circuits takes {slowest:.1f} ms, at most {_LIMIT:g} are allowed")
        return 1
    return 0


def _make_circuits(number: int) -> Callable[[str], str]:
    hosts = circuit_breaker("hosts", key=lambda host: host, max_keys=number, failure_threshold=1, reset_timeout=3600)

    @hosts
    def fetch(host: str) -> str:
        if host.endswith("7"):
            raise ConnectionResetError
        return host

    for each in range(number):
        with contextlib.suppress(ConnectionResetError):
            fetch(f"host-{each}.example.org")
    return fetch


def _times(application: AdminApplication, path: str, requests: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of the processor, and of the wall, that each request has taken."""
    processor: list[float] = []
    wall: list[float] = []
    for _ in range(requests):
        began, at = time.thread_time(), time.perf_counter()
        b"".join(application(_environ(path), lambda *_: None))
        processor.append((time.thread_time() - began) * 1000)
        wall.append((time.perf_counter() - at) * 1000)
    return processor, wall


def _environ(path: str) -> dict[str, Any]:
    path, _, query = path.partition("?")
    return {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "wsgi.input": io.BytesIO()}


def _at(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


if __name__ == "__main__":
    sys.exit(main())
