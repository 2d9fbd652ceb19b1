"""pika, against a port where no broker listens, peers that are none, and what a broker would answer."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pika
import pytest
from pika import exceptions

from resilience.categories import ErrorCategory
from resilience.classification import classify, explain
from resilience.classification._delivery import never_connected
from tests.classification.test_delivery import _failure

C = ErrorCategory


@pytest.fixture(autouse=True)
def quiet() -> None:
    """pika logs each failed connection as an error."""
    logging.getLogger("pika").setLevel(logging.CRITICAL)


def _connect(port: int, host: str = "127.0.0.1") -> object:
    return pika.BlockingConnection(
        pika.ConnectionParameters(host, port, connection_attempts=1, socket_timeout=2, stack_timeout=3)
    )


def test_a_broker_that_refuses_was_never_connected_to(closed_port: int) -> None:
    error = _failure(lambda: _connect(closed_port))
    assert type(error) is exceptions.AMQPConnectionError
    assert classify(error) is C.NETWORK
    assert never_connected(error)
    assert never_connected(_failure(lambda: _connect(closed_port, "nothing.invalid")))


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"AMQP\x00\x00\x08\x00"])
def test_a_peer_that_hangs_up_at_once_is_a_failure_of_the_network(greeting: bytes, talker: Callable[..., int]) -> None:
    error = _failure(lambda: _connect(talker(b"", greeting)))
    assert classify(error) is C.NETWORK, explain(error)
    assert not never_connected(error)


def test_a_callback_of_a_consumer_may_have_run_before(closed_port: int) -> None:
    space: dict[str, object] = {"__name__": "pika.adapters.blocking_connection"}
    exec("def start_consuming(callback):\n    callback()", space)  # noqa: S102
    consume = space["start_consuming"]
    assert callable(consume)
    assert not never_connected(_failure(lambda: consume(lambda: _connect(closed_port))))


@pytest.mark.parametrize(
    ("error", "category"),
    [
        (exceptions.ChannelClosedByBroker(404, "NOT_FOUND - no queue 'x'"), C.NOT_FOUND),
        (exceptions.ChannelClosedByBroker(406, "PRECONDITION_FAILED"), C.CONFLICT),
        (exceptions.ChannelClosedByBroker(999, "?"), C.DEPENDENCY),
        (exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED - Closed via management plugin"), C.UNAVAILABLE),
        (exceptions.ConnectionClosedByBroker(503, "COMMAND_INVALID"), C.INTERNAL),
        (exceptions.ConnectionClosedByBroker(200, "Goodbye"), C.NETWORK),
        (exceptions.ConnectionClosedByClient(200, "Normal shutdown"), C.INTERNAL),
        (exceptions.StreamLostError("Transport indicated EOF"), C.NETWORK),
        (exceptions.ChannelWrongStateError("Channel is closed."), C.NETWORK),
        (exceptions.NackError([]), C.UNAVAILABLE),
        (exceptions.UnroutableError([]), C.NOT_FOUND),
    ],
    ids=str,
)
def test_the_reply_code_decides_else_the_class(error: Exception, category: ErrorCategory) -> None:
    assert classify(error) is category, explain(error)
    assert not never_connected(error)
