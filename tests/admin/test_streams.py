"""The stream of events of the admin application: each event once, and no worker of a server held for long."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

import anyio
import pytest

from resilience import circuit_breaker
from resilience.admin import AdminApplication, _application, admin
from resilience.admin._journal import Journal


@pytest.fixture
def application() -> Iterator[AdminApplication]:
    with contextlib.closing(admin()) as found:
        yield found


def opened(name: str) -> None:
    breaker = circuit_breaker(name)
    breaker.open()


def streaming(application: AdminApplication, *, threads: bool, query: str = "", **headers: str) -> Iterable[bytes]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/events",
        "QUERY_STRING": query,
        "HTTP_ACCEPT": "text/event-stream",
        "wsgi.multithread": threads,
        "wsgi.input": io.BytesIO(),
        **headers,
    }
    return application(environ, lambda *_: None)


def circuits_in(text: bytes) -> list[str]:
    lines = [line for line in text.decode().splitlines() if line.startswith("data: ")]
    entries = [json.loads(line.removeprefix("data: ")) for line in lines]
    return [entry["circuit"] for entry in entries if entry["event"] == "circuit.opened"]


def test_in_a_worker_with_one_thread_a_stream_ends_at_once_with_the_events_there_are(application: AdminApplication):
    opened("stream sync")
    text = b"".join(streaming(application, threads=False, query="after=0"))
    assert circuits_in(text) == ["stream sync"]
    assert text.startswith(b"retry: 2000\n")
    assert application._service.journal.feeds == 0


def test_streams_hold_two_threads_of_a_server_at_most(application: AdminApplication):
    held = [iter(streaming(application, threads=True)) for _ in range(2)]
    assert [next(each)[:5] for each in held] == [b"retry"] * 2
    assert len(list(streaming(application, threads=True))) == 1, "it ends at once"
    for each in held:
        each.close()  # type: ignore[attr-defined]
    assert application._service.journal.feeds == 0


def test_a_thread_gets_each_event_once_whether_it_came_before_or_after_the_stream_began(application: AdminApplication):
    opened("stream before")
    stream = iter(streaming(application, threads=True, query="after=0"))
    opened("stream between")
    first = next(stream)
    opened("stream after")
    assert circuits_in(first + next(stream)) == ["stream before", "stream between", "stream after"]
    stream.close()  # type: ignore[attr-defined]


def test_a_browser_that_comes_again_gets_what_it_has_missed(application: AdminApplication):
    opened("stream seen")
    last = application._service.journal.entries()[-1]["number"]
    opened("stream missed")
    text = b"".join(streaming(application, threads=False, HTTP_LAST_EVENT_ID=str(last)))
    assert circuits_in(text) == ["stream missed"]


def test_a_page_that_outlives_its_process_gets_the_events_of_the_next_one():
    with contextlib.closing(Journal()) as journal:
        opened("stream restarted")
        entries = journal.entries(after=10_000)
        assert [entry["circuit"] for entry in entries if entry["event"] == "circuit.opened"] == ["stream restarted"]


def test_under_asgi_a_stream_ends_so_that_a_server_can_shut_down(
    application: AdminApplication, backend: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_application, "_ASGI_STREAM", 0.0)
    sent: list[dict[str, Any]] = []

    async def main() -> None:
        async def receive() -> dict[str, object]:
            if not sent:
                return {"type": "http.request", "body": b""}
            await anyio.sleep_forever()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/events", "headers": [(b"accept", b"text/event-stream")]}
        with anyio.fail_after(60):
            await application(scope, receive, send)

    anyio.run(main, backend=backend)
    assert not sent[-1].get("more_body")
    assert application._service.journal.feeds == 0
