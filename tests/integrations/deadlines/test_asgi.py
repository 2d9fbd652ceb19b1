"""An ASGI application within the deadline of its request."""

from __future__ import annotations

import json
import logging

import anyio
import httpx
import pytest

from resilience import deadline, remaining, retry_on_category, subscribe
from resilience.clock import current_clock
from resilience.errors import DeadlineExceededError
from resilience.events import DeadlineIgnored, TimedOut
from resilience.integrations.deadlines import DeadlineHeader, DeadlineMiddleware
from resilience.testing import virtual_time

HEADER = b"x-envoy-expected-rq-timeout-ms"
LIMITED = {"header": HEADER.decode()}
START = {"type": "http.response.start", "status": 200, "headers": []}


class Shop:
    """An application that does *work*, notes what was left, and answers."""

    def __init__(self, work: object = None) -> None:
        self.work = work
        self.left: list[float | None] = []

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        self.left.append(remaining())
        if self.work is not None:
            await self.work(send)
        await send(START)
        await send({"type": "http.response.body", "body": b"a lamp"})


def ask(backend: str, app: object, *values: bytes, **scope: object) -> tuple[list[dict[str, object]], float]:
    """Return what *app* sent in answer to a request with the header's *values*, and the seconds it took."""
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def run() -> float:
        lines = [(b"host", b"shop"), *((HEADER, value) for value in values)]
        with virtual_time(patience=0.02) as clock:
            await app({"type": "http", "method": "GET", "path": "/lamps", "headers": lines, **scope}, receive, send)
            return clock.now()

    return sent, anyio.run(run, backend=backend)


def status(sent: list[dict[str, object]]) -> object:
    return sent[0]["status"]


def test_the_application_reads_what_is_left(backend: str):
    shop = Shop()
    sent, _ = ask(backend, DeadlineMiddleware(shop, **LIMITED), b"2500")
    assert (status(sent), shop.left) == (200, [2.5])


def test_a_request_without_the_header_has_the_default(backend: str):
    free, limited = Shop(), Shop()
    ask(backend, DeadlineMiddleware(free, **LIMITED))
    ask(backend, DeadlineMiddleware(limited, **LIMITED, default=8))
    assert (free.left, limited.left) == ([None], [8.0])


@pytest.mark.parametrize("value", [b"86400000", b"999999999999999999"])
def test_a_client_gets_no_more_than_the_maximum(backend: str, value: bytes):
    shop = Shop()
    ask(backend, DeadlineMiddleware(shop, **LIMITED, maximum=30), value)
    assert shop.left == [30.0]


def test_the_default_gets_no_more_than_the_maximum(backend: str):
    shop = Shop()
    ask(backend, DeadlineMiddleware(shop, **LIMITED, default=90, maximum=30))
    assert shop.left == [30.0]


@pytest.mark.parametrize("value", [b"0", b"-1", b"-99999999", b"0.0"])
def test_a_request_that_arrives_too_late_is_answered_at_once(backend: str, value: bytes):
    shop = Shop()
    events: list[object] = []
    with subscribe(events.append):
        (start, body), _ = ask(backend, DeadlineMiddleware(shop, **LIMITED), value)
    assert (start["status"], shop.left) == (504, [])
    assert json.loads(body["body"])["category"] == "timeout"
    (event,) = events
    assert isinstance(event, TimedOut)
    assert (event.policy, event.limit, event.target.endswith("Shop")) == ("deadline", 0.0, True)


def test_requests_that_arrive_too_late_do_not_fill_the_log(backend: str, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG, "resilience"):
        ask(backend, DeadlineMiddleware(Shop(), **LIMITED), b"0")
    assert caplog.records == []


@pytest.mark.parametrize("value", [b"soon", b"", b"\xff\xfe", b"1e9", b"9" * 5000, b"100, x"])
def test_a_header_that_says_no_time_is_ignored_with_an_event_that_does_not_repeat_it(backend: str, value: bytes):
    shop = Shop()
    events: list[object] = []
    with subscribe(events.append):
        sent, _ = ask(backend, DeadlineMiddleware(shop, **LIMITED, default=5), value)
    assert (status(sent), shop.left) == (200, [5.0])
    (event,) = events
    assert isinstance(event, DeadlineIgnored)
    assert event.fields() == {"target": event.target, "policy": "deadline", "header": HEADER.decode()}


def test_of_several_lines_the_earliest_holds(backend: str):
    shop = Shop()
    ask(backend, DeadlineMiddleware(shop, **LIMITED), b"9000", b"2000")
    assert shop.left == [2.0]


def test_an_enclosing_deadline_that_is_earlier_holds(backend: str):
    shop = Shop()
    inner = DeadlineMiddleware(shop, **LIMITED)

    async def outer(*asgi: object) -> None:
        async with deadline(1):
            await inner(*asgi)

    ask(backend, outer, b"9000")
    assert shop.left == [1.0]


def test_the_application_is_cancelled_when_the_deadline_comes_and_the_client_gets_504(backend: str):
    ended: list[str] = []

    async def hang(send: object) -> None:
        try:
            await anyio.sleep(60)
        finally:
            ended.append("cancelled")

    sent, seconds = ask(backend, DeadlineMiddleware(Shop(hang), **LIMITED), b"2000")
    assert (status(sent), ended, seconds) == (504, ["cancelled"], 2.0)


def test_retries_below_the_handler_end_with_the_client(backend: str):
    calls: list[float] = []

    @retry_on_category(attempts=10, base_delay=1, jitter="none")
    async def fetch() -> None:
        calls.append(remaining())
        raise ConnectionRefusedError

    async def work(send: object) -> None:
        with pytest.raises(ConnectionRefusedError):
            await fetch()

    sent, seconds = ask(backend, DeadlineMiddleware(Shop(work), **LIMITED), b"5000")
    assert (status(sent), calls, seconds) == (200, [5.0, 4.0, 2.0], 3.0)


def test_an_answer_that_has_begun_is_broken_off(backend: str):
    async def trickle(send: object) -> None:
        await send(START)
        await anyio.sleep(60)

    with pytest.raises(DeadlineExceededError):
        ask(backend, DeadlineMiddleware(Shop(trickle), **LIMITED), b"2000")


def test_the_time_out_of_a_client_below_that_comes_with_the_deadline_is_504(backend: str):
    async def work(send: object) -> None:
        current_clock().advance(1.99)  # the client's own limit is rounded
        raise httpx.ReadTimeout("no answer")

    sent, _ = ask(backend, DeadlineMiddleware(Shop(work), **LIMITED), b"2000")
    assert status(sent) == 504


def test_the_time_out_of_a_client_below_that_comes_earlier_passes(backend: str):
    async def work(send: object) -> None:
        raise httpx.ReadTimeout("no answer")

    with pytest.raises(httpx.ReadTimeout):
        ask(backend, DeadlineMiddleware(Shop(work), **LIMITED), b"2000")


def test_other_exceptions_pass(backend: str):
    async def fail(send: object) -> None:
        raise LookupError("no such lamp")

    with pytest.raises(LookupError, match="no such lamp"):
        ask(backend, DeadlineMiddleware(Shop(fail), **LIMITED), b"2000")


def test_the_answer_to_a_head_request_has_no_body(backend: str):
    (start, body), _ = ask(backend, DeadlineMiddleware(Shop(), **LIMITED), b"0", method="HEAD")
    assert (start["status"], body["body"]) == (504, b"")


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_what_is_no_request_has_no_deadline(backend: str, kind: str):
    shop = Shop()
    ask(backend, DeadlineMiddleware(shop, **LIMITED, default=5), b"1000", type=kind)
    assert shop.left == [None]


def test_the_time_may_come_in_another_header_and_format(backend: str):
    shop = Shop()
    app = DeadlineMiddleware(shop, header=DeadlineHeader("grpc-timeout"))
    ask(backend, app, headers=[(b"grpc-timeout", b"3S")])
    assert shop.left == [3.0]


def test_wrong_options_fail_where_they_are_written():
    with pytest.raises(ValueError, match="maximum=0: give seconds"):
        DeadlineMiddleware(Shop(), **LIMITED, maximum=0)
    with pytest.raises(TypeError, match="default='5': give seconds"):
        DeadlineMiddleware(Shop(), **LIMITED, default="5")
    with pytest.raises(ValueError, match="format=None: give 'milliseconds'"):
        DeadlineMiddleware(Shop(), header="x-deadline")
