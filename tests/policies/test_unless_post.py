"""`unless_post`: what is seen to be a POST or PATCH is not repeated, however it was sent and however it failed."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import anyio
import httpx
import pytest
import requests
import urllib3

from resilience import ErrorCategory, circuit_breaker, describe, retry_on_category, retrying, timeout, unless_post
from resilience.policies.idempotency import Idempotency, idempotency_of
from resilience.testing import no_waits
from tests.runners import Runner, Takes

retried = retry_on_category(attempts=3, idempotent=unless_post)


class Service(ThreadingHTTPServer):
    """A server that loses connections (``/lost``), hangs (``/hang``), is busy (``/busy``) or redirects (``/see``)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sent: list[str] = []
        self.release = threading.Event()
        #: A request that arrives late, from before the last `sent_by`, is not counted.
        self.turn = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}?{self.turn}"


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path, _, turn = self.path.partition("?")
        if turn in ("", str(self.server.turn)):  # without one: redirected
            self.server.sent.append(self.command)
        if path == "/lost":
            self.connection.close()
            self.close_connection = True
            return
        if path == "/hang":
            self.server.release.wait(30)
            self.close_connection = True
            return
        see = path == "/see" and self.command == "POST"
        self.send_response(303 if see else 503)
        if see:
            self.send_header("Location", "/busy")
        body = json.dumps({"detail": "busy"}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


class Unavailable(Exception):
    """An exception of the program's own, that carries nothing."""

    category = ErrorCategory.UNAVAILABLE


def by_httpx(method: str, url: str) -> None:
    httpx.request(method, url, follow_redirects=True).raise_for_status()


def by_requests(method: str, url: str) -> None:
    requests.request(method, url, timeout=30).raise_for_status()


def by_urllib(method: str, url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, data=b"{}", method=method), timeout=30)


def by_urllib3(method: str, url: str) -> None:
    response = urllib3.request(method, url, retries=False)
    if response.status >= 500:
        raise urllib3.exceptions.HTTPError(response.status)


def by_http_client(method: str, url: str) -> None:
    connection = http.client.HTTPConnection(url.split("/")[2])
    connection.request(method, "/" + url.split("/")[3])
    if connection.getresponse().status >= 500:
        raise ConnectionError("busy")


def by_own_exception(method: str, url: str) -> None:
    response = httpx.request(method, url, follow_redirects=True)
    if response.status_code >= 500:
        raise Unavailable


def by_translated_exception(method: str, url: str) -> None:
    try:
        by_httpx(method, url)
    except httpx.HTTPError:
        raise Unavailable from None


CLIENTS = [
    by_httpx,
    by_requests,
    by_urllib,
    by_urllib3,
    by_http_client,
    by_own_exception,
    by_translated_exception,
]


def sent_by(service: Service, call: Callable[[], object]) -> int:
    """Return how many requests a call makes that fails."""
    service.turn += 1
    service.sent.clear()
    with no_waits(), pytest.raises(Exception, match=r".*"):
        call()
    return len(service.sent)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
@pytest.mark.parametrize("path", ["/lost", "/busy"])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_post_is_sent_once_by_any_client(service: Service, client, path: str, method: str):
    @retried
    def checkout() -> None:
        client(method, service.url(path))

    assert sent_by(service, checkout) == 1


@pytest.mark.parametrize("client", [by_httpx, by_requests, by_own_exception], ids=lambda client: client.__name__)
@pytest.mark.parametrize(
    ("path", "method"), [("/lost", "GET"), ("/busy", "GET"), ("/busy", "PUT"), ("/busy", "DELETE")]
)
def test_what_may_happen_twice_is_retried(service: Service, client, path: str, method: str):
    @retried
    def item() -> None:
        client(method, service.url(path))

    assert sent_by(service, item) == 3


def test_a_post_that_was_redirected_to_a_get_is_a_post(service: Service):
    @retried
    def checkout() -> None:
        httpx.post(service.url("/see"), follow_redirects=True).raise_for_status()

    assert sent_by(service, checkout) == 2
    assert service.sent == ["POST", "GET"]


def test_a_post_of_aiohttp_whose_connection_is_lost_is_sent_once(service: Service):
    @retried
    async def checkout() -> None:
        async with aiohttp.ClientSession() as session, session.post(service.url("/lost")) as response:
            response.raise_for_status()

    assert sent_by(service, lambda: anyio.run(checkout)) == 1


# -- cut off by a time limit -------------------------------------------------------------------------------------------


def hanging(service: Service, method: str, limit: Callable[[Callable], Callable], *, client: str) -> Callable:
    """Return a retried function whose request hangs until *limit* cuts it off. Its client is made before that."""

    async def call(send: Callable) -> None:
        @retried
        @limit
        async def guarded() -> None:
            await send(method, service.url("/hang"))

        await guarded()

    async def by_aiohttp() -> None:
        async with aiohttp.ClientSession() as session:
            await call(session.request)

    async def by_async_httpx() -> None:
        async with httpx.AsyncClient(timeout=None) as session:
            await call(session.request)

    return {"aiohttp": by_aiohttp, "httpx": by_async_httpx}[client]


def wait_for(function: Callable) -> Callable:
    import asyncio

    async def limited() -> None:
        await asyncio.wait_for(function(), 0.15)

    return limited


def asyncio_timeout(function: Callable) -> Callable:
    import asyncio

    async def limited() -> None:
        async with asyncio.timeout(0.15):
            await function()

    return limited


def fail_after(function: Callable) -> Callable:
    async def limited() -> None:
        with anyio.fail_after(0.15):
            await function()

    return limited


LIMITS = {"ours": timeout(0.15), "asyncio.timeout": asyncio_timeout, "wait_for": wait_for, "fail_after": fail_after}


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("client", ["httpx", "aiohttp"])
def test_a_post_that_hangs_is_sent_once_whatever_limit_cuts_it_off(service: Service, limit, client: str):
    call = hanging(service, "POST", limit, client=client)
    # On a busy machine the limit may be over before the request is sent: then once more.
    sent = (sent_by(service, lambda: anyio.run(call)) for _ in range(20))
    assert next(filter(None, sent), 0) == 1


@pytest.mark.parametrize("client", ["httpx", "aiohttp"])
@pytest.mark.parametrize("limit", ["ours", "asyncio.timeout"])
def test_a_get_that_hangs_is_retried_where_the_traceback_shows_it(service: Service, limit: str, client: str):
    call = hanging(service, "GET", LIMITS[limit], client=client)
    assert sent_by(service, lambda: anyio.run(call)) == 3


def test_a_sync_call_that_is_left_in_its_thread_is_not_repeated(service: Service):
    """Nothing says what the thread is doing, and it goes on doing it."""

    @retried
    @timeout(0.15)
    def call() -> None:
        by_http_client("GET", service.url("/hang"))

    assert sent_by(service, call) == 1


def test_a_time_out_of_the_client_itself_shows_its_request(service: Service):
    @retried
    def item(method: str) -> None:
        httpx.request(method, service.url("/hang"), timeout=0.1)

    assert sent_by(service, lambda: item("GET")) == 3
    assert sent_by(service, lambda: item("POST")) == 1


def test_a_call_that_was_cut_off_while_no_request_is_seen_is_not_repeated(runner: Runner):
    story = runner.play(lambda function: retried(timeout(1)(function)), Takes(99), "never")
    assert story.reached == 1
    assert story.answer.resilience.reason.value == "not_idempotent"


def test_the_name_of_the_function_shows_its_method_as_for_by_method(runner: Runner):
    def decorate(function: Callable) -> Callable:
        function.__name__ = "get"
        return retried(timeout(1)(function))

    assert runner.play(decorate, Takes(99), "ok").answer == "ok"


# -- what is not seen --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), Unavailable()], ids=repr)
def test_a_failure_without_any_request_is_retried(runner: Runner, error: Exception):
    assert runner.play(retried, error, error, "ok").answer == "ok"


def test_a_refused_connection_is_retried_for_a_post_too():
    calls = []

    @retried
    def checkout() -> None:
        calls.append("POST")
        raise ConnectionRefusedError

    with no_waits(), pytest.raises(ConnectionRefusedError):
        checkout()
    assert len(calls) == 3


def test_a_post_with_an_idempotency_key_is_retried(service: Service):
    @retried
    def checkout() -> None:
        httpx.post(service.url("/busy"), headers={"Idempotency-Key": "8e03978e"}).raise_for_status()

    assert sent_by(service, checkout) == 3


def test_the_post_whose_failure_the_caller_handles_is_not_that_of_the_call(service: Service):
    @retried
    def existing() -> None:
        httpx.get(service.url("/busy")).raise_for_status()

    def create_or_get() -> None:
        try:
            httpx.post(service.url("/busy")).raise_for_status()
        except httpx.HTTPStatusError:
            existing()

    assert sent_by(service, create_or_get) == 1 + 3


def test_a_loop_takes_it(service: Service):
    def checkout() -> None:
        for attempt in retrying(attempts=3, idempotent=unless_post):
            with attempt:
                httpx.post(service.url("/busy")).raise_for_status()

    assert sent_by(service, checkout) == 1


def test_the_description_names_it():
    assert str(idempotency_of(unless_post)) == "unless_post"
    assert isinstance(idempotency_of(unless_post), Idempotency)
    assert "idempotent=unless_post" in describe(retried(len)).policies[0]


def test_a_circuit_inside_rejects_as_ever(service: Service):
    @retried
    @circuit_breaker("unless post", failure_threshold=1)
    def checkout() -> None:
        httpx.get(service.url("/busy")).raise_for_status()

    assert sent_by(service, checkout) == 1
