"""Any ASGI application: called as a server calls it, and by a real one."""

from __future__ import annotations

import asyncio
import logging

import pytest

from resilience.errors import ResilienceError
from resilience.integrations.http import ProblemMiddleware
from tests.integrations.http.serving import CANARY, hostile, serving


def ask(app: object, **scope: object) -> list[dict[str, object]]:
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    asyncio.run(app({"type": "http", "method": "GET", "path": "/lamps", **scope}, receive, send))
    return sent


def failing(error: BaseException, *first: dict[str, object]) -> object:
    async def app(scope: object, receive: object, send: object) -> None:
        for message in first:
            await send(message)
        raise error

    return app


def test_what_is_raised_before_the_answer_is_answered():
    start, body = ask(ProblemMiddleware(failing(ResilienceError(CANARY, category="timeout", retry_after=2))))
    lines = dict(start["headers"])
    assert start["status"] == 504
    assert lines[b"content-type"] == b"application/problem+json"
    assert lines[b"retry-after"] == b"2"
    assert lines[b"content-length"] == str(len(body["body"])).encode()
    assert CANARY.encode() not in body["body"]


def test_what_is_raised_after_the_answer_has_begun_is_logged_and_raised_on(caplog: pytest.LogCaptureFixture):
    error = ResilienceError("m")
    with pytest.raises(ResilienceError) as raised:
        ask(ProblemMiddleware(failing(error, {"type": "http.response.start", "status": 200, "headers": []})))
    assert raised.value is error
    assert [record.exc_info[1] for record in caplog.records] == [error]


def test_an_answer_that_could_not_be_sent_is_not_tried_again():
    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def gone(message: object) -> None:
        raise OSError("the client has left")

    async def call() -> None:
        await ProblemMiddleware(app)({"type": "http", "method": "GET", "path": "/"}, None, gone)

    with pytest.raises(OSError, match="the client has left"):
        asyncio.run(call())


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit(), BaseExceptionGroup("m", [SystemExit()])])
def test_what_is_no_exception_passes(error: BaseException, caplog: pytest.LogCaptureFixture):
    with pytest.raises(type(error)):
        ask(ProblemMiddleware(failing(error)))
    assert not caplog.records


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_what_is_no_request_cannot_be_answered(kind: str):
    with pytest.raises(KeyError):
        ask(ProblemMiddleware(failing(KeyError("m"))), type=kind)


def test_a_head_request_has_no_body():
    start, body = ask(ProblemMiddleware(failing(KeyError("m"))), method="HEAD")
    assert body["body"] == b""
    assert int(dict(start["headers"])[b"content-length"]) > 0


@pytest.mark.parametrize(
    "path", [None, 7, "/\ud800", "/" + "x" * 100_000, "/%\n\r\0"], ids=lambda path: repr(path)[:12]
)
def test_a_path_of_any_kind_is_answered_and_logged_in_a_line(path: object, caplog: pytest.LogCaptureFixture):
    start, _ = ask(ProblemMiddleware(failing(KeyError("m"))), path=path)
    assert start["status"] == 500
    assert "\n" not in caplog.records[0].getMessage()
    assert len(caplog.records[0].getMessage()) < 2000


@pytest.mark.parametrize(
    ("category", "level"), [("not_found", "INFO"), ("timeout", "WARNING"), ("internal", "CRITICAL")]
)
def test_an_expected_error_is_as_loud_as_it_says(category: str, level: str, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG, "resilience.integrations.http"):
        ask(ProblemMiddleware(failing(ResilienceError(CANARY, category=category))))
    record = caplog.records[0]
    assert (record.levelname, record.category) == (level, category)
    assert bool(record.exc_info) == (record.status >= 500)


def test_under_a_real_server_every_hostile_error_is_an_answer():
    errors = hostile()

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        raise errors[scope["query_string"].decode().replace("%20", " ")]

    async def quiet(scope: dict[str, object], receive: object, send: object) -> None:
        if scope["type"] == "lifespan":
            for state in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{state}.complete"})
        else:
            await ProblemMiddleware(app, format="service")(scope, receive, send)

    with serving(quiet) as client:
        for what in errors:
            answer = client.get("/x", params=what.replace(" ", "%20"))
            assert 400 <= answer.status_code <= 599
            assert CANARY not in answer.text
            assert set(answer.json()) >= {"error", "message", "details"}
