"""An identity server that cannot be reached is no refusal, though its client raises an error of authentication."""

from __future__ import annotations

import httpx2
import openai._exceptions
import openai.auth
import pytest

from resilience.categories import ErrorCategory
from resilience.classification import classify, explain
from tests.classification.peers import Peer
from tests.classification.test_delivery import _failure

C = ErrorCategory


class _Elsewhere(httpx2.HTTPTransport):
    """Sends each request to one address, whichever it was meant for."""

    def __init__(self, address: str) -> None:
        self.address = httpx2.URL(address)
        super().__init__()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = self.address
        return super().handle_request(request)


def _without_token(address: str) -> Exception:
    """Return the failure of openai's client to get a token from a cloud's metadata server, which is at *address*."""
    with httpx2.Client(transport=_Elsewhere(address)) as client:
        error = _failure(openai.auth.gcp_id_token_provider(http_client=client)["get_token"])
    assert isinstance(error, openai._exceptions.SubjectTokenProviderError)
    return error


def test_a_metadata_server_that_refuses_is_a_network_error(closed_port: int) -> None:
    error = _without_token(f"http://127.0.0.1:{closed_port}")
    assert classify(error) is C.NETWORK, explain(error)


@pytest.mark.parametrize(
    ("status", "category"),
    [(503, C.UNAVAILABLE), (429, C.RATE_LIMIT), (400, C.AUTHENTICATION), (404, C.AUTHENTICATION)],
)
def test_its_status_decides_where_it_may_pass(status: int, category: ErrorCategory, peer: Peer) -> None:
    error = _without_token(f"http://127.0.0.1:{peer.port}/{status}")
    assert classify(error) is category, explain(error)
