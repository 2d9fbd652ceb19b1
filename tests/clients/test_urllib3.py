"""urllib3: what protects managers and pools, and what they keep of their own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from resilience import CircuitOpenError, circuit_breaker, classify, deadline, retry_on_category
from resilience.clients import inspect_client, protect, protection_of, request_options, send_deadline
from resilience.clients._urllib3_body import limit_reading
from resilience.testing import no_waits
from tests.clients.server import Received, Server, answer, chunked, cut, redirect


@pytest.fixture(autouse=True)
def without_waits() -> Iterator[None]:
    with no_waits():
        yield


@pytest.mark.parametrize("kind", ["manager", "proxy", "pool"])
def test_the_genuine_client_comes_back(kind: str) -> None:
    client: Any = {
        "manager": urllib3.PoolManager(),
        "proxy": urllib3.ProxyManager("http://proxy.example"),
        "pool": urllib3.HTTPSConnectionPool("shelf.example"),
    }[kind]
    assert protect(client) is client
    assert protection_of(client) is not None


def test_the_retries_of_urllib3_are_left_to_the_policies() -> None:
    retries = urllib3.Retry(5, status_forcelist=[503], backoff_factor=0)
    with Server({"/": [answer(503)]}) as server:
        manager = protect(urllib3.PoolManager(retries=retries), retry_on_category(attempts=2))
        assert manager.request("GET", server.url).status == 503
        assert len(server.requests) == 2
        assert manager.request("GET", server.url, retries=4).status == 503
        assert len(server.requests) == 4
    assert "urllib3 no longer retries by itself" in str(protection_of(manager))


def test_a_retry_after_is_waited_for_by_the_policies_alone() -> None:
    with Server({"/": [answer(429, retry_after="1"), answer(200)]}) as server:
        manager = protect(urllib3.PoolManager(), circuit_breaker("test_urllib3: no retry"))
        assert manager.request("GET", server.url).status == 429
        assert len(server.requests) == 1


@pytest.mark.parametrize("retries", [False, 0, 1, None, urllib3.Retry(redirect=1, raise_on_redirect=False)])
def test_the_count_of_retries_still_bounds_redirects(retries: Any) -> None:
    script = {"/": [redirect(302, "/1")], "/1": [redirect(302, "/2")], "/2": [answer(200)]}

    def outcome(manager: urllib3.PoolManager) -> object:
        with Server(script) as server:
            try:
                found: object = manager.request("GET", server.url, retries=retries).status
            except urllib3.exceptions.HTTPError as error:
                found = type(error)
            return found, [request.path for request in server.requests]

    assert outcome(protect(urllib3.PoolManager(), deadline(5))) == outcome(urllib3.PoolManager())


def test_what_the_caller_has_read_in_part_is_whole() -> None:
    with Server({"/": [chunked(503, b"brass ", b"lamp")]}) as server:
        manager = protect(urllib3.PoolManager(), retry_on_category(attempts=2))
        response = manager.request("GET", server.url, preload_content=False)
        assert [*response.stream(3)] == [b"bra", b"ss ", b"lam", b"p"]
        assert server.connections == 1


def test_a_compressed_body_is_decoded_as_ever() -> None:
    import gzip

    body = gzip.compress(b"brass lamp" * 100)
    with Server({"/": [answer(503, body, content_encoding="gzip")]}) as server:
        manager = protect(urllib3.PoolManager(), retry_on_category(attempts=2), deadline(5))
        assert manager.request("GET", server.url).data == b"brass lamp" * 100
        streamed = manager.request("GET", server.url, preload_content=False)
        assert streamed.read(10) == b"brass lamp"
        assert streamed.read() == b"brass lamp" * 99


def test_the_error_of_a_cut_body_is_the_callers() -> None:
    with Server({"/": [cut(503)]}) as server:
        manager = protect(urllib3.PoolManager(), retry_on_category(attempts=2))
        with pytest.raises(urllib3.exceptions.ProtocolError, match="4 bytes read, 96 more expected"):
            manager.request("GET", server.url)
        response = manager.request("GET", server.url, preload_content=False)
        assert response.status == 503
        with pytest.raises(urllib3.exceptions.ProtocolError):
            response.read()


@pytest.mark.parametrize("length", ["9", None], ids=["its length", "no length"])
def test_a_body_that_a_recorder_plays_back_is_read_within_a_limit(length: str | None) -> None:
    class PlayedBack(io.BytesIO):
        """The response of `http.client` as recorders of requests imitate it."""

        def isclosed(self) -> bool:
            return self.closed

    headers = {"content-length": length} if length is not None else {}
    response = urllib3.HTTPResponse(PlayedBack(b"old brass"), headers, 200, preload_content=False)
    limit_reading(response, lambda: 3.0)
    assert response.data == b"old brass"


def test_a_file_is_sent_from_where_it_stood() -> None:
    file = io.BytesIO(b"old lamp")
    file.seek(4)
    with Server({"/": [answer(503), answer(200)]}) as server:
        assert protect(urllib3.PoolManager(), retry_on_category()).request("PUT", server.url, body=file).status == 200
        assert [request.body for request in server.requests] == [Received.hash_of(b"lamp")] * 2


def test_a_call_waits_for_a_connection_no_longer_than_its_deadline() -> None:
    with Server({"/": [answer(200, b"lamp" * 100_000)]}) as server:
        manager = protect(urllib3.PoolManager(maxsize=1, block=True), deadline(0.1))
        held = manager.request("GET", server.url, preload_content=False)
        with pytest.raises(urllib3.exceptions.EmptyPoolError):
            manager.request("GET", server.url)
        held.drain_conn()
        held.release_conn()
        assert manager.request("GET", server.url).status == 200


def test_arguments_may_be_given_by_position() -> None:
    with Server({"/": [answer(503), answer(200)], "/old": [redirect(302, "/")]}) as server:
        manager = protect(urllib3.PoolManager(), retry_on_category(attempts=2))
        assert manager.urlopen("GET", f"{server.url}/old", False).status == 302
        pool = protect(urllib3.connection_from_url(server.url), retry_on_category())
        assert pool.urlopen("PUT", "/", b"lamp", {"X-Shop": "lamps"}, False, False).status == 200
        assert server.requests[-1].headers["x-shop"] == "lamps"
        assert server.requests[-1].body == Received.hash_of(b"lamp")


def test_an_open_circuit_is_an_error_of_urllib3() -> None:
    with Server({"/": [answer(503)]}) as server:
        manager = protect(urllib3.PoolManager(), circuit_breaker("test_urllib3: open", failure_threshold=1))
        manager.request("GET", server.url)
        with pytest.raises(urllib3.exceptions.HTTPError) as caught:
            manager.request("GET", server.url)
    assert isinstance(caught.value, CircuitOpenError) and classify(caught.value).label == "rejected"


def test_options_are_given_with_the_call_or_by_a_block() -> None:
    with Server({"/": [answer(503), answer(200), answer(503), answer(201), answer(503)]}) as server:
        manager = protect(urllib3.PoolManager(), retry_on_category(attempts=2))
        assert manager.request("POST", server.url, resilience={"idempotent": True}).status == 200
        with request_options(idempotent=True):
            assert manager.request("POST", server.url).status == 201
        assert manager.request("POST", server.url).status == 503
        assert manager.request("GET", server.url, resilience=False).status == 503


@pytest.mark.parametrize("kind", ["manager", "pool"])
def test_the_deadline_is_sent_beside_the_headers_of_the_client(kind: str) -> None:
    own = {"X-Shop": "lamps"}
    with Server({"/": [answer(503), answer(200)]}) as server:
        client: Any = urllib3.PoolManager(headers=own)
        if kind == "pool":
            client = urllib3.connection_from_url(server.url, headers=own)
        protect(client, deadline(5), retry_on_category(), send_deadline("x-left-ms"))
        assert client.request("GET", server.url if kind == "manager" else "/").status == 200
        assert [request.headers["x-shop"] for request in server.requests] == ["lamps", "lamps"]
        assert all(0 < int(request.headers["x-left-ms"]) <= 5000 for request in server.requests)
    assert own == {"X-Shop": "lamps"} == client.headers


def test_a_header_with_several_values_keeps_them_beside_the_deadline() -> None:
    given = urllib3.HTTPHeaderDict([("Via", "lamps"), ("Via", "shelf")])
    with Server({"/": [answer(200)]}) as server:
        manager = protect(urllib3.PoolManager(), deadline(5), send_deadline("x-left-ms"))
        manager.request("GET", server.url, headers=given)
        assert server.requests[0].headers["via"] == "lamps, shelf"
        assert "x-left-ms" in server.requests[0].headers and "x-left-ms" not in given


def test_inspection_tells_of_retries_and_time_limits() -> None:
    text = str(inspect_client(urllib3.PoolManager()))
    assert "urllib3 retries by itself" in text and "waits for ever" in text
    assert inspect_client(urllib3.PoolManager()).calls == 4
    bounded = urllib3.PoolManager(retries=False, timeout=3)
    assert inspect_client(bounded).findings == ()
    assert "waits for ever" in str(inspect_client(urllib3.HTTPConnectionPool("shelf.example")))
    assert inspect_client(protect(urllib3.PoolManager(), retry_on_category(attempts=3))).calls == 3


@pytest.mark.parametrize("kind", ["manager", "pool"])
def test_a_client_without_a_time_limit_is_a_problem(kind: str) -> None:
    client: Any = urllib3.PoolManager() if kind == "manager" else urllib3.HTTPConnectionPool("shelf.example")
    (problem,) = inspect_client(client).warnings
    assert str(problem) == "time_limit: urllib3 waits for ever where a call has no timeout="
    assert inspect_client(protect(client, deadline(5))).warnings == []
