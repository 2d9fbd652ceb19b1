"""TcpProxy: what real clients meet on the wire, sync and async, and what the toolkit takes it for."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import anyio
import httpx
import pytest
import requests

from resilience import ErrorCategory, classify, retry_on_category
from resilience.testing import TcpProxy

BODY = b"x" * 5000
LONG = 30.0  # seconds that no test waits


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def server_port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def proxy(server_port: int) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", server_port) as proxy:
        yield proxy


def _httpx(url: str, timeout: float) -> bytes:
    return httpx.get(url, timeout=timeout, trust_env=False).content


def _requests(url: str, timeout: float) -> bytes:
    return requests.get(url, timeout=timeout).content


def _httpx_trio(url: str, timeout: float) -> bytes:
    async def get() -> bytes:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(url, timeout=timeout)).content

    return anyio.run(get, backend="trio")


def _aiohttp(url: str, timeout: float) -> bytes:
    async def get() -> bytes:
        limit = aiohttp.ClientTimeout(total=timeout)
        async with aiohttp.ClientSession() as session, session.get(url, timeout=limit) as response:
            return await response.read()

    return anyio.run(get)


CLIENTS: dict[str, Callable[[str, float], bytes]] = {
    "httpx": _httpx,
    "requests": _requests,
    "httpx on trio": _httpx_trio,
    "aiohttp": _aiohttp,
}


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def get(request: pytest.FixtureRequest, proxy: TcpProxy) -> Callable[..., bytes]:
    def get(timeout: float = LONG) -> bytes:
        answer: bytes = request.param(f"http://127.0.0.1:{proxy.port}/", timeout)
        return answer

    return get


def test_without_a_fault_it_passes_everything_on(get):
    assert get() == BODY


FAULTS: dict[str, Callable[[TcpProxy], Any]] = {
    "reset at once": lambda proxy: proxy.reset(),
    "reset in the head": lambda proxy: proxy.reset(after=10),
    "reset in the body": lambda proxy: proxy.reset(after=3000),
    "cut at once": lambda proxy: proxy.cut(),
    "cut in the head": lambda proxy: proxy.cut(after=10),
    "cut in the body": lambda proxy: proxy.cut(after=3000),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_connection_that_is_lost_is_a_failure_of_the_network(get, proxy: TcpProxy, fault):
    with fault(proxy), pytest.raises(Exception) as raised:  # noqa: PT011 - each client has an exception of its own
        get()
    assert classify(raised.value) is ErrorCategory.NETWORK
    assert get() == BODY


@pytest.mark.parametrize("after", [0, 3000])
def test_a_hang_ends_by_the_time_limit_of_the_client(get, proxy: TcpProxy, after: int):
    with proxy.hang(after=after), pytest.raises(Exception) as raised:  # noqa: PT011
        get(timeout=0.1)
    assert classify(raised.value) is ErrorCategory.TIMEOUT


def test_a_slow_drip_delivers_everything(get, proxy: TcpProxy):
    with proxy.drip(chunk=500, pause=0.001):
        assert get() == BODY


def test_a_limited_bandwidth_delivers_everything(get, proxy: TcpProxy):
    with proxy.limit_bandwidth(500_000):
        assert get() == BODY


def test_a_slow_drip_is_no_read_timeout_and_ends_by_a_limit_on_the_whole(proxy: TcpProxy):
    """What a client with nothing but a limit for each read does not notice."""
    with proxy.drip(chunk=1, pause=0.005), pytest.raises(TimeoutError):
        _aiohttp(f"http://127.0.0.1:{proxy.port}/", 0.2)


def test_a_fault_reaches_connections_that_are_open(proxy: TcpProxy):
    with httpx.Client(trust_env=False, timeout=LONG, limits=httpx.Limits(keepalive_expiry=None)) as client:
        url = f"http://127.0.0.1:{proxy.port}/"
        assert client.get(url).content == BODY
        with proxy.hang(), pytest.raises(httpx.ReadTimeout):
            client.get(url, timeout=0.1)
        assert proxy.accepted == 1


def test_a_reset_ends_a_call_that_waits_for_its_answer(proxy: TcpProxy):
    hang = proxy.hang()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=LONG) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    hang()  # replaced already: it heals nothing
    with pytest.raises(httpx.TransportError):
        _httpx(f"http://127.0.0.1:{proxy.port}/", LONG)


def test_what_a_hang_has_kept_back_comes_when_it_is_healed(proxy: TcpProxy):
    proxy.hang()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=LONG) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(LONG)
        proxy.heal()
        assert client.recv(8) == b"HTTP/1.1"


def test_a_cut_passes_on_exactly_so_many_bytes(proxy: TcpProxy):
    with proxy.cut(after=7), socket.create_connection(("127.0.0.1", proxy.port), timeout=LONG) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        while piece := client.recv(100):
            got += piece
    assert got == b"HTTP/1."


def test_a_retry_gets_over_one_connection_that_is_lost(proxy: TcpProxy):
    faults = [proxy.reset(after=10)]

    @retry_on_category(attempts=2, base_delay=0, on_retry=lambda _: faults.pop()())
    def fetch() -> bytes:
        return _httpx(f"http://127.0.0.1:{proxy.port}/", LONG)

    assert fetch() == BODY
    assert faults == []


def test_a_server_that_is_not_there_is_a_connection_that_is_closed():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with TcpProxy("127.0.0.1", port) as proxy, pytest.raises(httpx.TransportError):
        _httpx(f"http://127.0.0.1:{proxy.port}/", LONG)


def test_it_is_an_async_block_too(server_port: int):
    async def main() -> bytes:
        async with TcpProxy("127.0.0.1", server_port) as proxy, httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"http://127.0.0.1:{proxy.port}/", timeout=LONG)).content

    assert anyio.run(main) == BODY


def test_when_it_ends_no_thread_is_left(server_port: int):
    with TcpProxy("127.0.0.1", server_port) as proxy, httpx.Client(trust_env=False) as client:
        client.get(f"http://127.0.0.1:{proxy.port}/", timeout=LONG)
        proxy.hang()
        with contextlib.suppress(httpx.ReadTimeout):
            client.get(f"http://127.0.0.1:{proxy.port}/", timeout=0.05)
    for thread in threading.enumerate():
        if thread.name == "resilience-tcp-proxy":
            thread.join(LONG)
            assert not thread.is_alive()


def test_it_runs_once(server_port: int):
    proxy = TcpProxy("127.0.0.1", server_port)
    with pytest.raises(RuntimeError, match="use it as"):
        assert proxy.port
    with proxy, pytest.raises(RuntimeError, match="runs once"):
        proxy.__enter__()
    with pytest.raises(RuntimeError, match="runs once"):
        proxy.__enter__()


@pytest.mark.parametrize(
    ("wrong", "kind", "says"),
    [
        (lambda: TcpProxy(b"h", 1), TypeError, "host="),
        (lambda: TcpProxy("h", "80"), TypeError, "port="),
        (lambda: TcpProxy("h", 70000), ValueError, "up to 65535"),
        (lambda: TcpProxy("h", 1).cut(after=-1), ValueError, "after=-1"),
        (lambda: TcpProxy("h", 1).drip(chunk=0), ValueError, "chunk=0"),
        (lambda: TcpProxy("h", 1).limit_bandwidth(0), ValueError, "bytes_per_second=0"),
    ],
    ids=["host", "port", "large port", "after", "chunk", "bandwidth"],
)
def test_invalid_options_are_refused(wrong: Callable[[], object], kind: type[Exception], says: str):
    with pytest.raises(kind, match=says):
        wrong()
