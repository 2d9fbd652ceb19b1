"""aiohttp: what protects a session, and what the session keeps of its own."""

from __future__ import annotations

import asyncio
import gc
import io
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp import web
from aioresponses import aioresponses

from resilience import CircuitOpenError, circuit_breaker, classify, deadline, report_of, retry_on_category
from resilience.clients import (
    current_attempt,
    inspect_client,
    protect,
    protection_of,
    request_options,
    send_deadline,
)
from resilience.testing import no_waits
from tests.clients.server import Received, Server, answer, reset

R = TypeVar("R")


def run(function: Callable[[aiohttp.ClientSession], Awaitable[R]], **options: Any) -> R:
    """Call *function* with a session, in an event loop of its own, without waits."""

    async def within() -> R:
        async with aiohttp.ClientSession(**options) as session:
            return await function(session)

    with no_waits():
        return asyncio.run(within())


async def status_of(session: aiohttp.ClientSession, url: str, method: str = "GET", **keywords: Any) -> int:
    async with session.request(method, url, **keywords) as response:
        await response.read()
        return response.status


def test_the_genuine_session_comes_back() -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        assert protect(session) is session and type(session) is aiohttp.ClientSession
        assert "aiohttp no longer sends a request again by itself" in str(protection_of(session))

    run(use)


def test_a_session_that_is_not_closed_still_says_so_at_once() -> None:
    async def use(_: aiohttp.ClientSession) -> None:
        gc.disable()
        try:
            with pytest.warns(ResourceWarning, match="Unclosed client session"), warnings.catch_warnings():
                forgotten = protect(aiohttp.ClientSession())
                asyncio.get_running_loop().set_exception_handler(lambda *_: None)
                connector = forgotten.connector
                del forgotten
            assert connector is not None
            await connector.close()
        finally:
            gc.enable()

    run(use)


def test_the_client_reads_the_body_of_a_failed_response() -> None:
    async def use(session: aiohttp.ClientSession) -> tuple[int, bytes, list[bytes]]:
        protect(session, retry_on_category(attempts=2))
        async with session.get(server.url) as response:
            body = await response.read()
        async with session.get(server.url) as response:
            return response.status, body, [part async for part in response.content.iter_chunked(4)]

    with Server({"/": [answer(503, b"brass lamp")]}) as server:
        assert run(use) == (503, b"brass lamp", [b"bras", b"s la", b"mp"])
        assert len(server.requests) == 4 and server.connections == 1


def test_raise_for_status_is_retried_and_raises_the_error_of_aiohttp() -> None:
    async def use(session: aiohttp.ClientSession) -> aiohttp.ClientResponseError:
        protect(session, retry_on_category(attempts=2))
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await session.get(server.url)
        return caught.value

    with Server({"/": [answer(503)]}) as server:
        error = run(use, raise_for_status=True)
        assert error.status == 503 and report_of(error).made == 2
        assert len(server.requests) == 2


def test_a_file_stays_open_for_all_attempts_and_is_closed_then(tmp_path: Path) -> None:
    path = tmp_path / "lamp"
    path.write_bytes(b"old lamp")
    file = path.open("rb")
    file.seek(4)

    async def use(session: aiohttp.ClientSession) -> int:
        protect(session, retry_on_category())
        status = await status_of(session, server.url, "PUT", data=file)
        for _ in range(100):  # aiohttp closes it in a thread
            await asyncio.sleep(0.01)
            if file.closed:
                break
        return status

    with Server({"/": [answer(503), answer(200)]}) as server:
        assert run(use) == 200
        assert [request.body for request in server.requests] == [Received.hash_of(b"lamp")] * 2
    assert file.closed


@pytest.mark.parametrize("kind", ["form", "fields", "pairs", "text", "json"])
def test_every_body_in_memory_or_in_a_file_is_sent_again(kind: str) -> None:
    def body() -> dict[str, Any]:
        form = aiohttp.FormData()
        form.add_field("picture", io.BytesIO(b"lamp"), filename="lamp.png")
        form.add_field("name", "brass")
        return {
            "form": {"data": form},
            "fields": {"data": {"picture": io.BytesIO(b"lamp"), "name": "brass"}},
            "pairs": {"data": [("name", "brass"), ("name", "copper")]},
            "text": {"data": io.StringIO("lamp")},
            "json": {"json": {"name": "brass"}},
        }[kind]

    async def use(session: aiohttp.ClientSession) -> int:
        return await status_of(protect(session, retry_on_category()), server.url, "PUT", **body())

    with Server({"/": [answer(503), reset, answer(200)]}) as server:
        assert run(use) == 200
        assert len({request.body for request in server.requests}) == 1 and len(server.requests) == 3
        assert server.requests[0].body != Received.hash_of(b"")


def test_an_open_circuit_is_a_connection_error_of_aiohttp() -> None:
    async def use(session: aiohttp.ClientSession) -> aiohttp.ClientConnectionError:
        protect(session, circuit_breaker("test_aiohttp: open", failure_threshold=1))
        await status_of(session, server.url)
        with pytest.raises(aiohttp.ClientConnectionError) as caught:
            await session.get(server.url)
        return caught.value

    with Server({"/": [answer(503)]}) as server:
        error = run(use)
    assert isinstance(error, CircuitOpenError) and classify(error).label == "rejected"
    assert str(error).startswith("circuit 'test_aiohttp: open' is open")


def test_options_of_a_call_come_with_its_trace_context_or_from_a_block() -> None:
    async def use(session: aiohttp.ClientSession) -> list[int]:
        protect(session, retry_on_category(attempts=2))
        context = {"resilience": {"idempotent": True}, "trace": "of the user's own"}
        found = [await status_of(session, server.url, "POST", trace_request_ctx=context)]
        with request_options(idempotent=True):
            found.append(await status_of(session, server.url, "POST"))
        found.append(await status_of(session, server.url, "POST"))
        found.append(await status_of(session, server.url, trace_request_ctx={"resilience": False}))
        return found

    with Server({"/": [answer(503), answer(200), answer(503), answer(201), answer(503)]}) as server:
        assert run(use) == [200, 201, 503, 503]


def test_middlewares_of_the_session_and_of_a_call_run_in_each_attempt() -> None:
    attempts: list[int] = []

    async def middleware(request: Any, handler: Any) -> Any:
        attempts.append(current_attempt())
        return await handler(request)

    async def use(session: aiohttp.ClientSession) -> None:
        protect(session, retry_on_category(attempts=2))
        await status_of(session, server.url)
        await status_of(session, server.url, middlewares=(middleware, middleware))

    with Server({"/": [answer(503)]}) as server:
        run(use, middlewares=(middleware,))
    assert attempts == [1, 2, 1, 1, 2, 2]


def test_the_handshake_of_a_websocket_is_retried_and_its_messages_are_not_touched() -> None:
    refusals = [503]

    async def echo(request: web.Request) -> web.StreamResponse:
        if refusals:
            return web.Response(status=refusals.pop())
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"{message.data} lamp")
        return socket

    async def use(session: aiohttp.ClientSession) -> str:
        protect(session, retry_on_category(), deadline(5))
        app = web.Application()
        app.router.add_get("/", echo)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            host, port = runner.addresses[0][:2]
            async with session.ws_connect(f"ws://{host}:{port}/") as socket:
                await socket.send_str("brass")
                return await socket.receive_str()
        finally:
            await runner.cleanup()

    assert run(use) == "brass lamp" and refusals == []


class MockedResponse(aiohttp.ClientResponse):
    """A response as aioresponses makes it, which does not know a parameter of aiohttp 3.14."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **{"stream_writer": Mock(output_size=0), **keywords})


def test_aioresponses_works_over_a_protected_session() -> None:
    async def use(session: aiohttp.ClientSession) -> Any:
        protect(session, retry_on_category())
        with aioresponses() as mock:
            mock.get("http://shelf.example/", status=503, response_class=MockedResponse)
            mock.get("http://shelf.example/", payload={"name": "brass lamp"}, response_class=MockedResponse)
            async with session.get("http://shelf.example/") as response:
                return await response.json()

    assert run(use) == {"name": "brass lamp"}


def test_the_deadline_is_sent_beside_the_headers_of_session_and_call() -> None:
    given = [("Via", "lamps"), ("Via", "shelf")]

    async def use(session: aiohttp.ClientSession) -> int:
        protect(session, deadline(5), retry_on_category(), send_deadline("x-left-ms"))
        return await status_of(session, server.url, headers=given)

    with Server({"/": [answer(503), answer(200)]}) as server:
        assert run(use, headers={"X-Shop": "lamps", "X-Left-Ms": "60000"}) == 200
        for request in server.requests:
            assert (request.headers["x-shop"], request.headers["via"]) == ("lamps", "lamps, shelf")
            assert 0 < int(request.headers["x-left-ms"]) <= 5000
    assert given == [("Via", "lamps"), ("Via", "shelf")]


def test_inspection_tells_of_the_retry_and_of_the_pool() -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        text = str(inspect_client(session))
        assert "sends an idempotent request again" in text and "at most 100 connections" in text
        assert inspect_client(session).calls == 2
        assert inspect_client(protect(session, retry_on_category(attempts=3))).calls == 3

    run(use)


def test_a_session_that_waits_for_ever_is_a_problem() -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        (problem,) = inspect_client(session).problems
        assert str(problem) == "time_limit: the session waits for ever: its timeout has no total, no sock_read"
        assert inspect_client(protect(session, deadline(5))).problems == []

    run(use, timeout=aiohttp.ClientTimeout(total=None))
