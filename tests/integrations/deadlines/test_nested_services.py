"""Three services, each in a process of its own, end together when the client at the edge has no time left."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.slow  # three processes that import servers

PROGRAM = Path(__file__).with_name("nested_service.py")
PATIENCE = 60.0  # seconds; a service that did not know of the deadline would retry for minutes
SECONDS = 2.0


class Service:
    """A running process, and the lines it prints."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, str(PROGRAM), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.lines: queue.Queue[dict[str, object]] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.address = f"127.0.0.1:{self.line()['port']}"

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def line(self) -> dict[str, object]:
        return self.lines.get(timeout=PATIENCE)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


@pytest.fixture
def services() -> Iterator[list[Service]]:
    running: list[Service] = []
    try:
        running.append(Service("back"))
        running.append(Service("middle", running[0].address))
        running.append(Service("front", running[1].address))
        yield running[::-1]
    finally:
        for service in running:
            service.end()


def test_nested_services_end_together(services: list[Service]):
    front, middle, back = services
    milliseconds = str(round(SECONDS * 1000))
    headers = {"x-envoy-expected-rq-timeout-ms": milliseconds}
    response = httpx.get(f"http://{front.address}/", headers=headers, timeout=PATIENCE)
    assert response.status_code == 504

    lines = [front.line(), middle.line(), back.line()]
    assert [line["service"] for line in lines] == ["front", "middle", "back"]
    begins = [line["begin"] for line in lines]
    assert begins[0] <= SECONDS
    # Each has what the one before has left: less, but for a clock that is rounded.
    assert begins[1] <= begins[0] + 0.1
    assert begins[2] <= begins[1] + 0.1
    # None of them ended because its work was done, and none had time left to go on.
    assert all(line["end"] != "done" for line in lines)
    assert all(line["left"] <= 0.2 for line in lines)


def test_a_service_whose_time_is_over_asks_no_other(services: list[Service]):
    front, middle, back = services
    headers = {"x-envoy-expected-rq-timeout-ms": "0"}
    assert httpx.get(f"http://{front.address}/", headers=headers, timeout=PATIENCE).status_code == 504
    assert [service.lines.qsize() for service in services] == [0, 0, 0]
