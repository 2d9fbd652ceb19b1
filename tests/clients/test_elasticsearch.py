"""Clients of Elasticsearch guarded by policies: real requests over loopback, sync, asyncio and trio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio

from resilience import (
    CircuitOpenError,
    CircuitState,
    StopReason,
    circuit_breaker,
    deadline,
    report_of,
    retry_on_category,
)
from resilience.clients import inspect_client, protect, protection_of, request_options, send_deadline
from resilience.clients._elasticsearch_apis import READS, REPEATABLE_WRITES, api_of, method_of
from resilience.testing import no_waits
from tests.clients.server import Action, Server, answer, close, hang, refusing_address, reset

elasticsearch = pytest.importorskip("elasticsearch")
elastic_transport = pytest.importorskip("elastic_transport")
helpers = pytest.importorskip("elasticsearch.helpers")

JSON = {"content_type": "application/json", "x_elastic_product": "Elasticsearch"}
BUSY = b'{"error": {"type": "unavailable_shards_exception"}, "status": 503}'
SHORT = 0.2  # seconds that a test waits for a server that says nothing
PATIENCE = 30

Ask = Callable[[Any], Any]


def found(body: bytes = b'{"hits": {"hits": []}}') -> Action:
    return answer(200, body, **JSON)


def busy(status: int = 503, **headers: str) -> Action:
    return answer(status, BUSY, **JSON, **headers)


def retrying(**options: Any) -> Any:
    return retry_on_category(**{"attempts": 3, "base_delay": 0, **options})


@pytest.fixture(autouse=True)
def without_waits() -> Iterator[None]:
    with no_waits():
        yield


class Face:
    """One face of the client: how it is made, and how its calls are made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_async = name != "sync"
        self.kind = elasticsearch.AsyncElasticsearch if self.is_async else elasticsearch.Elasticsearch

    def make(self, *urls: str, **options: Any) -> Any:
        if self.name == "trio":
            options.setdefault("node_class", "httpxasync")
        return self.kind(list(urls), **options)

    def outcomes(self, server: Server, guard: Ask, *asked: Ask, **options: Any) -> list[Any]:
        """Return what each call of a guarded client returns or raises."""
        if not self.is_async:
            with guard(self.make(server.url, **options)) as client:
                return [self._outcome(ask, client) for ask in asked]

        async def main() -> list[Any]:
            async with guard(self.make(server.url, **options)) as client:
                return [await self._outcome_async(ask, client) for ask in asked]

        if self.name == "trio":
            return trio.run(main)
        return asyncio.run(main())

    def outcome(self, server: Server, guard: Ask, ask: Ask, **options: Any) -> Any:
        return self.outcomes(server, guard, ask, **options)[0]

    def _outcome(self, ask: Ask, client: Any) -> Any:
        try:
            return ask(client)
        except Exception as error:
            return error

    async def _outcome_async(self, ask: Ask, client: Any) -> Any:
        try:
            return await ask(client)
        except Exception as error:
            return error


@pytest.fixture(params=["sync", "asyncio", "trio"])
def face(request: pytest.FixtureRequest) -> Face:
    return Face(request.param)


WITHOUT_TRIO = pytest.mark.parametrize("face", [Face("sync"), Face("asyncio")], ids=["sync", "asyncio"])
"""Of what the client does not support, or does not clean up, on trio."""


def search(client: Any) -> Any:
    return client.search(index="books", query={"match_all": {}})


def store(client: Any) -> Any:
    return client.bulk(operations=[{"index": {"_index": "books"}}, {"title": "Emma"}])


def guarded_by(*policies: Any) -> Ask:
    return lambda client: protect(client, *policies)


# -- the client --------------------------------------------------------------------------------------------------------


def test_the_client_is_a_copy_of_the_same_class_and_the_other_one_keeps_its_retries(face: Face):
    client = face.make("http://books.example:9200", max_retries=5)
    guarded = protect(client, retrying())
    assert type(guarded) is type(client)
    assert guarded is not client
    assert protection_of(client) is None
    assert client._max_retries == 5
    assert "the client's own retries, max_retries=5, are switched off on a copy" in str(protection_of(guarded))
    assert inspect_client(guarded).calls == 3


def test_without_policies_the_stack_is_named_after_the_first_node(face: Face):
    guarded = protect(face.make("http://books.example:9200"))
    assert "books.example:9200" in str(protection_of(guarded))


def test_inspection_says_that_the_client_retries_a_bulk_request_and_waits_for_ever(face: Face):
    client = face.make("http://books.example:9200", request_timeout=None)
    assert [str(each) for each in inspect_client(client, attempts=3).findings] == [
        "retries: the client retries by itself, max_retries=3: up to 4 requests, of _bulk as well",
        "time_limit: request_timeout=None: no limit",
        "pool: 10 connections to each node; a further call waits until one is free",
        "retries: 3 attempts here x 4 of the client = 12 calls",
    ]


def test_inspection_finds_a_long_time_limit_of_a_copy_and_none_by_default(face: Face):
    client = face.make("http://books.example:9200", max_retries=0)
    assert [each.kind for each in inspect_client(client).findings] == ["pool"]
    assert "request_timeout is 90 s" in str(inspect_client(client.options(request_timeout=90)))


def test_a_copy_with_other_options_and_a_namespace_are_guarded_too(face: Face):
    script = {"/_cluster/health": [busy(), found()], "/books/_refresh": [reset, found()]}
    asked = (
        lambda client: client.options(opaque_id="shop").cluster.health(),
        lambda client: client.indices.refresh(index="books"),
    )
    with Server(script) as server:
        health, refreshed = face.outcomes(server, guarded_by(retrying()), *asked)
        assert (health.meta.status, refreshed.meta.status) == (200, 200)
        assert [each.headers.get("x-opaque-id") for each in server.requests] == ["shop", "shop", None, None]


def test_retries_that_a_copy_asks_for_are_refused_with_a_warning(face: Face):
    guarded = protect(face.make("http://books.example:9200"), retrying())
    with pytest.warns(RuntimeWarning, match="max_retries=4 has no effect on a protected client"):
        copied = guarded.options(max_retries=4)
    assert protection_of(copied) is protection_of(guarded)
    assert inspect_client(copied).calls == 3


def test_a_copy_without_other_retries_is_made_without_a_warning(face: Face):
    guarded = protect(face.make("http://books.example:9200"), retrying())
    assert guarded.options(max_retries=0, request_timeout=5)._request_timeout == 5


def test_the_client_of_a_namespace_has_no_adapter(face: Face):
    with pytest.raises(TypeError, match="no adapter"):
        protect(face.make("http://books.example:9200").indices)


# -- what is repeated --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [busy(), busy(429, retry_after="1"), busy(502), reset, close],
    ids=["503", "429", "502", "reset", "close"],
)
@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("/books/_search", search),
        ("/books/_count", lambda client: client.count(index="books")),
        ("/_msearch", lambda client: client.msearch(searches=[{}, {"query": {"match_all": {}}}])),
        ("/books/_doc/7", lambda client: client.get(index="books", id="7")),
        ("/books/_doc/7", lambda client: client.index(index="books", id="7", document={"title": "Emma"})),
    ],
    ids=["search", "count", "msearch", "get", "index with an id"],
)
def test_a_request_that_may_happen_twice_is_repeated(face: Face, path: str, ask: Ask, failure: Action):
    with Server({path: [failure, found()]}) as server:
        assert face.outcome(server, guarded_by(retrying()), ask).meta.status == 200
        assert len(server.requests) == 2
        assert server.requests[0].body == server.requests[1].body


ONCE = [
    ("/_bulk", store),
    ("/books/_update/7", lambda client: client.update(index="books", id="7", doc={"title": "Emma"})),
    ("/books/_doc", lambda client: client.index(index="books", document={"title": "Emma"})),
    ("/books/_create/7", lambda client: client.create(index="books", id="7", document={"title": "Emma"})),
    ("/_search/scroll", lambda client: client.scroll(scroll_id="1")),
    ("/_reindex", lambda client: client.reindex(source={"index": "books"}, dest={"index": "archive"})),
    (
        "/books/_doc/7",
        lambda client: client.index(index="books", id="7", document={}, if_seq_no=4, if_primary_term=1),
    ),
]
NAMES = ["bulk", "update", "index without an id", "create", "scroll", "reindex", "index with a condition"]


@pytest.mark.parametrize("failure", [busy(), reset], ids=["503", "reset"])
@pytest.mark.parametrize(("path", "ask"), ONCE, ids=NAMES)
def test_a_request_that_would_count_twice_is_sent_once(face: Face, path: str, ask: Ask, failure: Action):
    with Server({path: [failure, found()]}) as server:
        error = face.outcome(server, guarded_by(retrying()), ask)
        assert isinstance(error, elasticsearch.ApiError | elasticsearch.ConnectionError)
        assert report_of(error).reason is StopReason.NOT_IDEMPOTENT
        assert len(server.requests) == 1


@pytest.mark.parametrize(("path", "ask"), ONCE, ids=NAMES)
def test_a_block_says_that_a_request_may_happen_twice(face: Face, path: str, ask: Ask):
    with Server({path: [reset, found()]}) as server, request_options(idempotent=True):
        assert face.outcome(server, guarded_by(retrying()), ask).meta.status == 200


def test_a_block_says_that_a_search_may_not_happen_twice(face: Face):
    with Server({"/books/_search": [reset, found()]}) as server, request_options(idempotent=False):
        error = face.outcome(server, guarded_by(retrying()), search)
        assert isinstance(error, elasticsearch.ConnectionError)
        assert len(server.requests) == 1


def test_a_retry_decides_by_the_api(face: Face):
    retry = retrying(idempotent=lambda call: call.api == "_bulk")
    ask: Ask = lambda client: client.bulk(operations=[{"delete": {"_index": "books", "_id": "7"}}])  # noqa: E731
    with Server({"/_bulk": [busy(), found()]}) as server:
        assert face.outcome(server, guarded_by(retry), ask).meta.status == 200


def test_documents_of_a_generator_are_sent_once(face: Face):
    ask: Ask = lambda client: client.bulk(operations=iter([{"delete": {"_index": "books", "_id": "7"}}]))  # noqa: E731
    with Server({"/_bulk": [busy(), found()]}) as server:
        error = face.outcome(server, guarded_by(retrying(idempotent=True)), ask)
        assert report_of(error).reason is StopReason.BODY
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        *[("POST", f"/{api}", "GET") for api in sorted(READS)],
        *[("POST", f"/books/{api}", "PUT") for api in sorted(REPEATABLE_WRITES - {"_doc"})],
        ("POST", "/_all/_search?size=1", "GET"),
        ("POST", "/books,films/_explain/7", "GET"),
        ("HEAD", "/books", "GET"),
        ("GET", "/_search/scroll", "POST"),
        ("POST", "/books/_doc/", "POST"),
        ("POST", "/books/_doc/_search", "PUT"),
        ("POST", "/books/_update/_search", "POST"),
        ("PUT", "/books/_create/_search", "POST"),
        ("PUT", "/books/_doc/7?op_type=create", "POST"),
        ("PUT", "/books", "PUT"),
        ("DELETE", "/books/_doc/7", "DELETE"),
        ("POST", "/", "POST"),
        ("PUT", "/books/_bulk", "POST"),
        ("PUT", "/_security/api_key", "POST"),
        ("PUT", "/_slm/policy/nightly/_execute", "POST"),
        ("POST", "/_an_api_of_tomorrow", "POST"),
    ],
)
def test_the_path_says_whether_a_request_may_happen_twice(method: str, path: str, expected: str):
    assert method_of(method, path) == expected


def test_the_name_of_an_api_has_no_index_and_no_id():
    paths = ("/books/_doc/_bulk", "/books", "/_cluster/health", "/_all/_count")
    assert [api_of(path) for path in paths] == ["_doc", "", "_cluster/health", "_count"]


# -- failures ----------------------------------------------------------------------------------------------------------


def test_a_failure_stays_the_error_of_the_client_with_its_answer(face: Face):
    with Server({"/books/_search": [busy()]}) as server:
        error = face.outcome(server, guarded_by(retrying()), search)
        assert isinstance(error, elasticsearch.ApiError)
        assert (error.meta.status, error.message) == (503, "unavailable_shards_exception")
        assert report_of(error).made == len(server.requests) == 3


def test_the_wait_that_the_server_asks_for_is_known(face: Face):
    with Server({"/books/_search": [busy(429, retry_after="60")]}) as server:
        error = face.outcome(server, guarded_by(retrying(max_delay=1)), search)
        assert report_of(error).reason is StopReason.PUSHBACK
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 409])
def test_an_error_of_the_caller_is_neither_repeated_nor_counted(face: Face, status: int):
    circuit = circuit_breaker(f"test_elasticsearch: {face.name} {status}", failure_threshold=1)
    with Server({"/books/_search": [busy(status)]}) as server:
        error = face.outcome(server, guarded_by(retrying(), circuit), search)
        assert error.meta.status == status
        assert len(server.requests) == 1
        assert circuit.circuit_state is CircuitState.CLOSED


def test_a_document_that_is_not_there_is_an_answer(face: Face):
    ask: Ask = lambda client: client.exists(index="books", id="7")  # noqa: E731
    with Server({"/books/_doc/7": [answer(404, **JSON)]}) as server:
        assert not face.outcome(server, guarded_by(retrying()), ask)
        assert len(server.requests) == 1


def test_an_open_circuit_is_an_error_of_the_client_too(face: Face):
    circuit = circuit_breaker(f"test_elasticsearch: {face.name}")
    circuit.open()
    with Server({"/books/_search": [found()]}) as server:
        error, ping = face.outcomes(server, guarded_by(circuit), search, lambda client: client.ping())
        assert isinstance(error, CircuitOpenError)
        assert isinstance(error, elasticsearch.ConnectionError)
        assert (error.message, error.errors) == (str(error), ())
        assert str(error).startswith("circuit 'test_elasticsearch")
        assert ping is False
        assert not server.requests


def test_a_block_switches_the_policies_off_and_the_retries_of_the_client_stay_off(face: Face):
    with Server({"/books/_search": [busy()]}) as server, request_options(enabled=False):
        error = face.outcome(server, guarded_by(retrying()), search)
        assert error.meta.status == 503
        assert len(server.requests) == 1


# -- time --------------------------------------------------------------------------------------------------------------


def test_a_deadline_ends_a_request_that_is_not_answered(face: Face):
    with Server({"/books/_search": [hang]}) as server:
        error = face.outcome(server, guarded_by(deadline(SHORT), retrying()), search, request_timeout=PATIENCE)
        assert isinstance(error, elasticsearch.ConnectionTimeout)
        assert len(server.requests) == 1


@pytest.mark.parametrize("node", ["urllib3", "requests", "httpx"])
@pytest.mark.parametrize("own", [None, PATIENCE])
def test_the_time_limits_of_every_sync_node_are_cut_to_what_is_left(node: str, own: float | None):
    with Server({"/books/_search": [hang]}) as server:
        options = {"node_class": node, "request_timeout": own}
        error = Face("sync").outcome(server, guarded_by(deadline(SHORT)), search, **options)
        assert isinstance(error, elasticsearch.ConnectionTimeout)


def test_a_time_limit_of_the_client_that_is_shorter_than_the_deadline_stays(face: Face):
    with Server({"/books/_search": [hang, found()]}) as server:
        outcome = face.outcome(server, guarded_by(deadline(PATIENCE), retrying()), search, request_timeout=SHORT)
        assert outcome.meta.status == 200
        assert len(server.requests) == 2


def test_a_time_limit_of_the_nodes_that_is_shorter_than_the_deadline_stays():
    with Server({"/books/_search": [hang, found()]}) as server:
        host, port = server.address.split(":")
        node = elastic_transport.NodeConfig("http", host, int(port), request_timeout=SHORT)
        with protect(elasticsearch.Elasticsearch([node]), deadline(PATIENCE), retrying()) as client:
            assert search(client).meta.status == 200


def test_each_attempt_sends_what_is_left_of_the_time(face: Face):
    with Server({"/books/_search": [busy(), found()]}) as server:
        face.outcome(server, guarded_by(deadline(PATIENCE), retrying(), send_deadline("x-time-left-ms")), search)
        assert all(0 < int(each.headers["x-time-left-ms"]) <= PATIENCE * 1000 for each in server.requests)
        assert all("elasticsearch" in each.headers["accept"] for each in server.requests)


# -- nodes, helpers ----------------------------------------------------------------------------------------------------


def test_a_retry_goes_to_another_node(face: Face):
    with Server({"/books/_search": [found()]}) as server, refusing_address() as refusing:

        def guard(client: Any) -> Any:
            client.transport.node_pool.add(elastic_transport.NodeConfig("http", *_host_and_port(refusing)))
            return protect(client, retrying())

        outcomes = face.outcomes(server, guard, search, search)
        assert [each.meta.status for each in outcomes] == [200, 200]


def _host_and_port(address: str) -> tuple[str, int]:
    host, port = address.split(":")
    return host, int(port)


NODES = [
    *[("sync", node) for node in ("urllib3", "requests", "httpx")],
    *[("asyncio", node) for node in ("aiohttp", "httpxasync")],
    ("trio", "httpxasync"),
]


@pytest.mark.parametrize(("name", "node"), NODES)
def test_a_bulk_request_goes_to_another_node_where_the_first_refuses_the_connection(name: str, node: str):
    with Server({"/_bulk": [found()]}) as server, refusing_address() as refusing:

        def guard(client: Any) -> Any:
            client.transport.node_pool.add(elastic_transport.NodeConfig("http", *_host_and_port(refusing)))
            return protect(client, retrying())

        outcomes = Face(name).outcomes(server, guard, store, store, node_class=node)
        assert [each.meta.status for each in outcomes] == [200, 200]


def test_a_bulk_request_is_sent_once_though_its_caller_handles_a_refused_connection(face: Face):
    with Server({"/_bulk": [reset, found()]}) as server:
        try:
            raise ConnectionRefusedError
        except ConnectionRefusedError:
            error = face.outcome(server, guarded_by(retrying()), store)
        assert report_of(error).reason is StopReason.NOT_IDEMPOTENT
        assert len(server.requests) == 1


@WITHOUT_TRIO
def test_looking_for_nodes_is_no_call_of_its_own(face: Face):
    circuit = circuit_breaker(f"test_elasticsearch: sniffing, {face.name}", failure_threshold=1)
    with Server({"/books/_search": [found()], "/_nodes/_all/http": [busy()]}) as server:
        outcome = face.outcome(server, guarded_by(retrying(), circuit), search, sniff_before_requests=True)
        assert outcome.meta.status == 200
        assert [each.path for each in server.requests].count("/books/_search") == 1
        assert circuit.circuit_state is CircuitState.CLOSED


@WITHOUT_TRIO
def test_each_chunk_of_the_bulk_helper_is_one_call(face: Face):
    documents = [{"_index": "books", "_id": str(number), "title": "Emma"} for number in range(4)]
    stored = b'{"errors": false, "items": [{"index": {"status": 201}}, {"index": {"status": 201}}]}'

    def ask(client: Any) -> Any:
        helper = helpers.async_bulk if face.is_async else helpers.bulk
        return helper(client, documents, chunk_size=2)

    with Server({"/_bulk": [busy(429), found(stored)]}) as server:
        assert face.outcome(server, guarded_by(retrying(idempotent=True)), ask) == (4, [])
        assert len(server.requests) == 3
