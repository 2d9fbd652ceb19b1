"""Real failures of real HTTP clients, over the loopback."""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3

from resilience.categories import ErrorCategory
from resilience.classification import classify, explain, retry_after
from tests.classification.peers import PATIENCE, Peer

C = ErrorCategory
Get = Callable[[str], object]


def _httpx(url: str) -> object:
    with httpx.Client(timeout=PATIENCE, trust_env=False) as client:
        return client.get(url).raise_for_status()


def _httpx2(url: str) -> object:
    with httpx2.Client(timeout=PATIENCE, trust_env=False) as client:
        return client.get(url).raise_for_status()


def _requests(url: str) -> object:
    with requests.Session() as session:
        session.trust_env = False
        response = session.get(url, timeout=PATIENCE)
        response.raise_for_status()
        return response.content


def _urllib3(url: str) -> object:
    with urllib3.PoolManager(timeout=PATIENCE, retries=1) as pool:
        return pool.request("GET", url).data


def _urllib3_without_retries(url: str) -> object:
    with urllib3.PoolManager(timeout=PATIENCE, retries=False) as pool:
        return pool.request("GET", url).data


def _aiohttp(url: str) -> object:
    async def get() -> object:
        limit = aiohttp.ClientTimeout(sock_connect=PATIENCE, sock_read=PATIENCE)
        async with aiohttp.ClientSession(timeout=limit) as session, session.get(url) as response:
            response.raise_for_status()
            return await response.read()

    return asyncio.run(get())


def _http_client(url: str) -> object:
    where = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(where.hostname), where.port, timeout=PATIENCE)
    try:
        connection.request("GET", where.path)
        return connection.getresponse().read()
    finally:
        connection.close()


def _urllib(url: str) -> object:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=PATIENCE) as response:
        return response.read()


def _name(get: Get) -> str:
    return get.__name__.strip("_")


CLIENTS: list[Get] = [_httpx, _httpx2, _requests, _urllib3, _urllib3_without_retries, _aiohttp, _http_client, _urllib]
WITH_STATUS: list[Get] = [_httpx, _httpx2, _requests, _aiohttp, _urllib]

_each = pytest.mark.parametrize("get", CLIENTS, ids=_name)


def _failure(get: Get, url: str) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, is the question
        get(url)
    return caught.value


def _check(exc: Exception, category: ErrorCategory) -> None:
    assert classify(exc) is category, (type(exc), explain(exc))
    assert explain(exc).category is category


@_each
def test_a_refused_connection_is_a_network_error(get: Get, closed_port: int) -> None:
    _check(_failure(get, f"http://127.0.0.1:{closed_port}/"), C.NETWORK)


@_each
def test_a_body_that_is_cut_short_is_a_network_error(get: Get, peer: Peer) -> None:
    _check(_failure(get, f"http://127.0.0.1:{peer.port}/cut"), C.NETWORK)


@_each
def test_a_connection_that_is_reset_in_the_body_is_a_network_error(get: Get, peer: Peer) -> None:
    _check(_failure(get, f"http://127.0.0.1:{peer.port}/reset"), C.NETWORK)


@_each
def test_a_peer_that_hangs_up_is_a_network_error(get: Get, talker: Callable[..., int]) -> None:
    _check(_failure(get, f"http://127.0.0.1:{talker(b'', b'')}/"), C.NETWORK)


@_each
def test_a_peer_that_does_not_speak_http_is_a_network_error(get: Get, talker: Callable[..., int]) -> None:
    exc = _failure(get, f"http://127.0.0.1:{talker(b'', b'SSH-2.0-nope' + bytes([13, 10, 13, 10]))}/")
    assert classify(exc) in C.NETWORK | C.DEPENDENCY, (type(exc), explain(exc))


@_each
@pytest.mark.parametrize("how", ["silent", "hang"])
def test_a_server_that_does_not_answer_is_a_timeout(get: Get, how: str, peer: Peer) -> None:
    _check(_failure(get, f"http://127.0.0.1:{peer.port}/{how}"), C.TIMEOUT)


@_each
def test_a_name_that_cannot_be_resolved_is_a_network_error(get: Get) -> None:
    _check(_failure(get, "http://nonexistent.invalid:1/"), C.NETWORK)


@_each
def test_an_untrusted_certificate_is_configuration(get: Get, untrusted_peer: Peer) -> None:
    exc = _failure(get, f"https://localhost:{untrusted_peer.port}/200")
    _check(exc, C.CONFIGURATION)


@_each
def test_a_server_that_speaks_no_tls_is_a_network_error(get: Get, peer: Peer) -> None:
    _check(_failure(get, f"https://127.0.0.1:{peer.port}/200"), C.NETWORK)


@pytest.mark.parametrize("get", WITH_STATUS, ids=_name)
@pytest.mark.parametrize(
    ("status", "category", "hint"),
    [
        (401, C.AUTHENTICATION, None),
        (404, C.NOT_FOUND, None),
        (422, C.VALIDATION, None),
        (429, C.RATE_LIMIT, 1.5),
        (500, C.SERVER_ERROR, None),
        (503, C.UNAVAILABLE, 3.0),
    ],
)
def test_a_status_is_what_it_means(
    get: Get, status: int, category: ErrorCategory, hint: float | None, peer: Peer
) -> None:
    exc = _failure(get, f"http://127.0.0.1:{peer.port}/{status}")
    _check(exc, category)
    assert retry_after(exc) == hint
    if isinstance(exc, urllib.error.HTTPError):
        exc.close()


def test_statuses_that_urllib3_itself_gave_up_on_are_server_errors(peer: Peer) -> None:
    def get(url: str) -> object:
        retries = urllib3.Retry(total=1, status_forcelist=[500], backoff_factor=0)
        with urllib3.PoolManager(retries=retries) as pool:
            return pool.request("GET", url)

    _check(_failure(get, f"http://127.0.0.1:{peer.port}/500"), C.SERVER_ERROR)


@pytest.mark.parametrize("get", [_httpx, _httpx2, _requests, _urllib3, _aiohttp], ids=_name)
def test_an_invalid_url_is_the_callers_mistake(get: Get) -> None:
    assert classify(_failure(get, "ftp://127.0.0.1:1/")) in C.VALIDATION | C.INTERNAL
