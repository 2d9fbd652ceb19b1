"""Clients whose requests go through the policies of a configuration, by route, also after a reload."""

from __future__ import annotations

import gc
import threading
import weakref

import anyio
import httpx
import pytest
import requests

from resilience import CircuitOpenError
from resilience.clients import inspect_client, protection_of
from resilience.config import ConfigurationError, Policies
from resilience.testing import no_waits

ROUTES = [
    {"match": "shop.example", "policy": "shop"},
    {"match": "GET shop.example/items/*", "policy": "items"},
]


class Configuration:
    """A configuration that a test changes, as an editor does the file."""

    def __init__(self, routes: list[dict[str, str]] = ROUTES, **policies: object) -> None:
        self.tree: dict[str, object] = {"policies": policies, "routes": routes}
        self.policies = Policies.load(self.tree, environment={})


class Server:
    """Answers with 503, and counts the requests for each path."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.status = 503

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        return httpx.Response(self.status)

    def sent(self) -> int:
        sent, self.paths = len(self.paths), []
        return sent


def client_of(server: Server) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(server))


def test_each_request_goes_by_the_most_specific_route():
    server = Server()
    configured = Configuration(shop={"retry": 2}, items={"retry": 4})
    client = configured.policies.for_client(client_of(server))
    assert type(client) is httpx.Client
    with no_waits():
        sent = []
        for method, url in [
            ("GET", "http://shop.example/items/7"),
            ("GET", "http://shop.example/orders"),
            ("DELETE", "http://shop.example:8080/items/7"),
            ("GET", "http://elsewhere.example/"),
        ]:
            assert client.request(method, url).status_code == 503
            sent.append(server.sent())
    assert sent == [4, 2, 2, 1]


def test_an_async_client_goes_by_the_same_routes(anyio_backend: str):
    server = Server()
    configured = Configuration(shop={"retry": 2}, items={"retry": 4})

    async def sent() -> list[int]:
        client = configured.policies.for_client(httpx.AsyncClient(transport=httpx.MockTransport(server)))
        counts = []
        async with client:
            for url in ["http://shop.example/items/7", "http://shop.example/", "http://elsewhere.example/"]:
                await client.get(url)
                counts.append(server.sent())
        return counts

    with no_waits():
        assert anyio.run(sent, backend=anyio_backend) == [4, 2, 1]


def test_the_default_is_for_requests_without_a_route():
    server = Server()
    configured = Configuration(shop={"retry": 2}, items={"retry": 4}, rest={"retry": 3})
    client = configured.policies.for_client(client_of(server), default="rest")
    with no_waits():
        client.get("http://elsewhere.example/")
    assert server.sent() == 3


def test_a_reload_replaces_policies_and_routes():
    server = Server()
    configured = Configuration(shop={"retry": 2}, items={"retry": 4})
    client = configured.policies.for_client(client_of(server))
    with no_waits():
        client.get("http://shop.example/items/7")
        assert server.sent() == 4
        configured.policies.set("items", "retry.attempts", 3)
        client.get("http://shop.example/items/7")
        assert server.sent() == 3
        configured.tree["policies"]["images"] = {"retry": 5}  # type: ignore[index]
        configured.tree["routes"] = [*ROUTES, {"match": "images.example", "policy": "images"}]
        configured.policies.reload()
        client.get("http://images.example/")
        assert server.sent() == 5
        configured.tree["routes"] = ROUTES[:1]
        configured.policies.reload()
        client.get("http://shop.example/items/7")
        assert server.sent() == 2


def test_a_circuit_is_shared_with_functions_and_keeps_its_state_in_a_reload():
    server = Server()
    configured = Configuration(shop={"circuit": {"failure_threshold": 2}}, items={"retry": 1})
    client = configured.policies.for_client(client_of(server))
    circuit = configured.policies["shop"].circuit
    assert circuit is not None
    client.get("http://shop.example/")
    configured.policies.set("shop", "timeout", "2s")
    client.get("http://shop.example/")
    assert configured.policies["shop"].circuit is circuit
    assert circuit.current_state == "open"
    configured.policies.set("shop", "circuit.failure_threshold", 7)
    with pytest.raises(CircuitOpenError):
        client.get("http://shop.example/")
    assert server.sent() == 2

    @configured.policies["shop"]
    def order() -> None:
        raise AssertionError

    with pytest.raises(CircuitOpenError):
        order()


def test_a_call_that_runs_ends_as_it_began():
    began, go_on = threading.Event(), threading.Event()
    sent = []

    def serve(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.path)
        if len(sent) == 1:
            began.set()
            assert go_on.wait(60)
        return httpx.Response(503)

    configured = Configuration(shop={"retry": 3}, items={"retry": 1})
    client = configured.policies.for_client(httpx.Client(transport=httpx.MockTransport(serve)))

    def call() -> None:
        with no_waits():
            client.get("http://shop.example/")

    caller = threading.Thread(target=call)
    caller.start()
    assert began.wait(60)
    configured.policies.set("shop", "retry.attempts", 1)
    go_on.set()
    caller.join()
    assert len(sent) == 3
    client.get("http://shop.example/")
    assert len(sent) == 4


def test_policies_that_cannot_guard_the_client_are_refused_and_nothing_changes():
    server = Server()
    configured = Configuration(shop={"retry": 2}, items={"retry": 4})
    client = configured.policies.for_client(client_of(server))
    configured.tree["policies"] = {"shop": {"hedge": 0.1}, "items": {"retry": 1}}
    with pytest.raises(ConfigurationError, match=r"policies\.shop: .*sync"):
        configured.policies.reload()
    with no_waits():
        client.get("http://shop.example/items/7")
        client.get("http://shop.example/")
    assert server.sent() == 6
    with pytest.raises(ConfigurationError, match=r"policies\.shop: "):
        Configuration(shop={"hedge": 0.1}, items={"retry": 1}).policies.for_client(client_of(server))


def test_without_a_route_and_a_default_it_says_what_to_write():
    configured = Configuration([], shop={"retry": 2})
    with pytest.raises(ConfigurationError, match=r"no routes.*default='catalogue'"):
        configured.policies.for_client(httpx.Client())
    with pytest.raises(KeyError, match="did you mean 'shop'"):
        configured.policies.for_client(httpx.Client(), default="shopp")
    with pytest.raises(TypeError, match="no adapter"):
        configured.policies.for_client(object(), default="shop")


def test_a_client_is_protected_once():
    configured = Configuration(shop={"retry": 2}, items={"retry": 4})
    client = configured.policies.for_client(httpx.Client())
    with pytest.raises(TypeError, match="protected already"):
        configured.policies.for_client(client)


def test_the_protection_says_what_each_route_has():
    configured = Configuration(shop={"retry": 2}, items={"retry": 4, "timeout": 1})
    session = configured.policies.for_client(requests.Session())
    text = str(protection_of(session))
    assert "GET shop.example/items/*: policies['items']" in text
    assert "other requests: no policies" in text
    assert "retry_on_category(transient, attempts=4" in text
    assert "attempts=4" in str(inspect_client(session))
    configured.policies.set("items", "retry.attempts", 6)
    assert "attempts=6" in str(protection_of(session))


def test_a_client_that_is_dropped_is_forgotten():
    configured = Configuration(shop={"retry": 2}, items={"retry": 4})
    client = configured.policies.for_client(httpx.Client())
    client.close()
    found = weakref.ref(client)
    del client
    gc.collect()
    assert found() is None
    configured.policies.reload()
