"""A client's circuits and slots for each host: calls go through those that the policies have for the host now."""

from __future__ import annotations

import gc
import weakref

import httpx

from resilience import bulkhead, circuit_breaker, retry_on_category
from resilience.clients import by_host, protect

DOWN = {"down.example"}


def shop(request: httpx.Request) -> httpx.Response:
    return httpx.Response(503 if request.url.host in DOWN else 200)


def test_a_host_that_is_called_again_and_again_is_not_the_one_that_is_evicted() -> None:
    hosts = circuit_breaker("busy hosts", key=by_host, max_keys=4)
    client = protect(httpx.Client(transport=httpx.MockTransport(shop)), hosts)
    client.get("http://shelf.example")
    own = hosts.of("shelf.example")
    for number in range(40):
        client.get("http://shelf.example")
        client.get(f"http://{number}.example")
    assert dict(hosts.children())["shelf.example"] is own
    assert len(hosts.children()) == 4


def test_a_host_whose_circuit_was_evicted_gets_another_which_counts_its_failures() -> None:
    hosts = circuit_breaker("evicted hosts", key=by_host, max_keys=2, failure_threshold=2)
    client = protect(httpx.Client(transport=httpx.MockTransport(shop)), hosts)
    client.get("http://down.example")
    before = hosts.of("down.example")
    for number in range(3):
        client.get(f"http://{number}.example")
    client.get("http://down.example")
    assert hosts.of("down.example") is not before
    assert hosts.of("down.example").circuit.state.failures == 1


def test_an_eviction_is_seen_by_all_clients_that_share_the_circuit() -> None:
    hosts = circuit_breaker("shared hosts", key=by_host, max_keys=8, failure_threshold=2)
    one, other = (protect(httpx.Client(transport=httpx.MockTransport(shop)), hosts) for _ in range(2))
    one.get("http://shelf.example")
    for number in range(8):
        other.get(f"http://{number}.example")
    one.get("http://shelf.example")
    assert "shelf.example" in dict(hosts.children())


def test_all_calls_to_a_host_share_its_circuit_and_its_slots() -> None:
    hosts = circuit_breaker("hosts with slots", key=by_host, failure_threshold=3)
    slots = bulkhead("hosts with slots", 2, key=by_host)
    transport = httpx.MockTransport(shop)
    client = protect(httpx.Client(transport=transport), retry_on_category(base_delay=0.001), hosts, slots)
    client.get("http://down.example")
    client.get("http://shelf.example")
    assert [child.state.name for _, child in hosts.children()] == ["open", "closed"]


def test_a_circuit_does_not_keep_a_client_alive() -> None:
    hosts = circuit_breaker("hosts of clients that come and go", key=by_host)
    client = protect(httpx.Client(transport=httpx.MockTransport(shop)), hosts)
    client.get("http://shelf.example")
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
