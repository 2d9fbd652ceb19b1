"""qdrant_client, against real responses and real failures of a server over REST."""

from __future__ import annotations

import pytest
from qdrant_client import QdrantClient

from resilience import retry_after
from resilience.categories import ErrorCategory
from resilience.classification import classify, explain
from tests.classification.peers import Peer
from tests.classification.test_delivery import _failure

C = ErrorCategory


def _get(port: int, path: str, scheme: str = "http", host: str = "127.0.0.1") -> Exception:
    url = f"{scheme}://{host}:{port}/{path}"
    client = QdrantClient(url=url, timeout=1, check_compatibility=False, trust_env=False)
    try:
        return _failure(client.get_collections)
    finally:
        client.close()


@pytest.mark.parametrize(("status", "category"), [(404, C.NOT_FOUND), (500, C.SERVER_ERROR), (503, C.UNAVAILABLE)])
def test_the_status_of_the_response_decides(status: int, category: ErrorCategory, peer: Peer) -> None:
    error = _get(peer.port, str(status))
    assert classify(error) is category, explain(error)


def test_a_rate_limit_says_how_long_to_wait(peer: Peer) -> None:
    error = _get(peer.port, "429")
    assert type(error).__name__ == "ResourceExhaustedResponse"
    assert classify(error) is C.RATE_LIMIT
    assert retry_after(error) == 7.0
    assert retry_after(_get(peer.port, "503")) == 3.0


def test_the_exception_of_the_http_client_decides_where_there_is_no_response(
    peer: Peer, untrusted_peer: Peer, closed_port: int
) -> None:
    assert classify(_get(closed_port, "")) is C.NETWORK
    assert classify(_get(peer.port, "reset")) is C.NETWORK
    assert classify(_get(peer.port, "silent")) is C.TIMEOUT
    untrusted = _get(untrusted_peer.port, "200", "https", "localhost")
    assert classify(untrusted) is C.CONFIGURATION, explain(untrusted)
