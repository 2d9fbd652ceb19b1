"""neo4j over TLS, against servers on the loopback: the driver calls each failure of the handshake one of security."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resilience.categories import ErrorCategory
from resilience.classification import classify, explain
from tests.classification.peers import Peer
from tests.classification.test_delivery import _failure

neo4j = pytest.importorskip("neo4j")
C = ErrorCategory


def _connect(port: int) -> Exception:
    def verify() -> None:
        with neo4j.GraphDatabase.driver(f"bolt+s://localhost:{port}") as driver:
            driver.verify_connectivity()

    return _failure(verify)


def test_a_server_that_hangs_up_in_the_handshake_is_a_network_error(talker: Callable[..., int]) -> None:
    error = _connect(talker(b""))
    assert isinstance(error, neo4j.exceptions.ServiceUnavailable)
    assert classify(error) is C.NETWORK, explain(error)


def test_an_untrusted_certificate_is_configuration(untrusted_peer: Peer) -> None:
    error = _connect(untrusted_peer.port)
    assert classify(error) is C.CONFIGURATION, explain(error)
