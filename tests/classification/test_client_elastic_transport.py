"""elastic_transport, by the client of Elasticsearch, against real responses and real failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import elasticsearch
import pytest

from resilience import retry_after
from resilience.categories import ErrorCategory
from resilience.classification import classify, explain
from resilience.classification._delivery import never_connected
from tests.classification.peers import Peer
from tests.classification.test_delivery import _failure

C = ErrorCategory


@pytest.fixture
def get() -> Iterator[Callable[[str, str], Exception]]:
    clients: list[elasticsearch.Elasticsearch] = []

    def get(origin: str, path: str = "/") -> Exception:
        clients.append(elasticsearch.Elasticsearch(origin, max_retries=0, request_timeout=0.3))
        return _failure(lambda: clients[-1].perform_request("GET", path, headers={"accept": "application/json"}))

    yield get
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    ("status", "category"), [(404, C.NOT_FOUND), (409, C.CONFLICT), (429, C.RATE_LIMIT), (503, C.UNAVAILABLE)]
)
def test_the_status_of_the_response_decides(
    get: Callable[..., Exception], status: int, category: ErrorCategory, peer: Peer
) -> None:
    error = get(f"http://127.0.0.1:{peer.port}", f"/{status}")
    assert isinstance(error, elasticsearch.ApiError)
    assert classify(error) is category, explain(error)


def test_the_wait_that_a_response_asks_for_is_read(get: Callable[..., Exception], peer: Peer) -> None:
    assert retry_after(get(f"http://127.0.0.1:{peer.port}", "/429")) == 1.5
    assert retry_after(get(f"http://127.0.0.1:{peer.port}", "/503")) == 3.0
    assert retry_after(get(f"http://127.0.0.1:{peer.port}", "/404")) is None


def test_failures_without_a_response_have_different_categories(
    get: Callable[..., Exception], peer: Peer, untrusted_peer: Peer, closed_port: int
) -> None:
    assert classify(get(f"http://127.0.0.1:{closed_port}")) is C.NETWORK
    assert classify(get(f"http://127.0.0.1:{peer.port}", "/reset")) is C.NETWORK
    assert classify(get(f"http://127.0.0.1:{peer.port}", "/silent")) is C.TIMEOUT
    untrusted = get(f"https://localhost:{untrusted_peer.port}", "/200")
    assert classify(untrusted) is C.CONFIGURATION, explain(untrusted)


def test_what_the_transport_has_sent_before_is_not_known(get: Callable[..., Exception], closed_port: int) -> None:
    assert not never_connected(get(f"http://127.0.0.1:{closed_port}"))
