"""RESOURCE_EXHAUSTED for a message that is too large: the same message is too large at the next attempt too."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest

from resilience import retry_on_category
from resilience.categories import ErrorCategory
from resilience.classification import category_of_grpc, classify, explain
from tests.classification.test_delivery import _failure

C = ErrorCategory
_LIMIT = 1000

_TOO_LARGE = {
    "C": "Received message larger than max (5308389 vs. 4194304)",
    "C, of the client": "CLIENT: Sent message larger than max (5308389 vs. 4194304)",
    "Go": "grpc: trying to send message larger than max (5308389 vs. 4194304)",
    "Go, compressed": "grpc: received message after decompression larger than max 4194304",
    "Java": "gRPC message exceeds maximum size 4194304: 5308389",
    "Java, compressed": "Decompressed gRPC message exceeds maximum size 4194304",
    ".NET": "Received message exceeds the maximum configured message size.",
    "Node": "Attempted to send message with a size larger than 4194304",
    "Node, compressed": "Received message that decompresses to a size larger than 4194304",
}
_LIMITED = ["", "Quota exceeded for quota metric", "too many messages, maximum exceeded", "queue is full"]


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """A gRPC server that takes small messages, and answers with as many bytes as it is asked for."""
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: b"x" * int(request))
    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", _LIMIT)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", {"Answer": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait(5)


@pytest.mark.parametrize(
    ("request_", "option"),
    [
        (b"1" * 2 * _LIMIT, ()),
        (b"1" * 2 * _LIMIT, [("grpc.max_send_message_length", _LIMIT)]),
        (str(2 * _LIMIT).encode(), [("grpc.max_receive_message_length", _LIMIT)]),
    ],
    ids=["the server's limit", "the client's limit of what it sends", "the client's limit of what it takes"],
)
def test_a_message_that_is_too_large_is_sent_once(request_: bytes, option: Any, service: str) -> None:
    sent: list[bytes] = []
    with grpc.insecure_channel(service, options=[("grpc.enable_http_proxy", 0), *option]) as channel:
        ask = channel.unary_unary("/test.Service/Answer")

        @retry_on_category(attempts=3, base_delay=0)
        def call() -> object:
            sent.append(request_)
            return ask(request_, timeout=5)

        error = _failure(call)
    assert isinstance(error, grpc.RpcError)
    assert classify(error) is C.VALIDATION, explain(error)
    assert explain(error).reason == "grpc.RpcError: gRPC status RESOURCE_EXHAUSTED"
    assert len(sent) == 1


@pytest.mark.parametrize("details", _TOO_LARGE.values(), ids=_TOO_LARGE)
def test_each_implementation_of_grpc_says_it_in_its_own_words(details: str) -> None:
    assert category_of_grpc("RESOURCE_EXHAUSTED", details) is C.VALIDATION
    assert category_of_grpc("UNAVAILABLE", details) is C.UNAVAILABLE


@pytest.mark.parametrize("details", _LIMITED)
def test_any_other_exhaustion_is_a_rate_limit(details: str) -> None:
    assert category_of_grpc("RESOURCE_EXHAUSTED", details) is C.RATE_LIMIT


def test_grpclib_and_google_pass_the_details_on() -> None:
    grpclib = pytest.importorskip("grpclib")
    google = pytest.importorskip("google.api_core.exceptions")
    status = importlib.import_module("grpclib.const").Status.RESOURCE_EXHAUSTED
    for details in _TOO_LARGE.values():
        assert classify(grpclib.GRPCError(status, details)) is C.VALIDATION
        assert classify(google.ResourceExhausted(details)) is C.VALIDATION
    for details in _LIMITED:
        assert classify(grpclib.GRPCError(status, details)) is C.RATE_LIMIT
        assert classify(google.ResourceExhausted(details)) is C.RATE_LIMIT
