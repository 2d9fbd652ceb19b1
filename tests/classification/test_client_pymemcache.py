"""pymemcache, against replies of a memcached that fails, and against none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymemcache.client import base, hash, retrying  # noqa: A004 - the module's name

from resilience.categories import ErrorCategory
from resilience.classification import classify, explain
from resilience.classification._delivery import never_connected
from tests.classification.peers import PATIENCE
from tests.classification.test_delivery import _failure

C = ErrorCategory


def _client(port: int) -> base.Client:
    return base.Client(("127.0.0.1", port), timeout=PATIENCE, connect_timeout=PATIENCE, default_noreply=False)


@pytest.mark.parametrize(
    ("reply", "category"),
    [
        (b"ERROR\r\n", C.CONFIGURATION),
        (b"CLIENT_ERROR bad data chunk\r\n", C.VALIDATION),
        (b"SERVER_ERROR out of memory storing object\r\n", C.CAPACITY),
        (b"SERVER_ERROR object too large for cache\r\n", C.VALIDATION),
        (b"SERVER_ERROR backend failed\r\n", C.SERVER_ERROR),
        (b"HTTP/1.1 400 Bad Request\r\n", C.DEPENDENCY),
        (b"", C.NETWORK),
    ],
)
def test_the_kind_of_the_reply_decides(reply: bytes, category: ErrorCategory, talker: Callable[..., int]) -> None:
    error = _failure(lambda: _client(talker(b"", reply)).set("key", "value"))
    assert classify(error) is category, explain(error)
    assert not never_connected(error)


def test_a_key_that_memcached_does_not_allow_is_the_callers_fault() -> None:
    assert classify(_failure(lambda: _client(1).get("a key"))) is C.VALIDATION


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get("key"),
        lambda client: client.set_many({"one": 1, "two": 2}),
        lambda client: client.incr("key", 1),
        lambda client: client.flush_all(),
    ],
    ids=["get", "set_many", "incr", "flush_all"],
)
def test_a_command_without_a_connection_was_never_sent(call: Callable[[Any], object], closed_port: int) -> None:
    error = _failure(lambda: call(_client(closed_port)))
    assert classify(error) is C.NETWORK
    assert never_connected(error)
    pooled = base.PooledClient(("127.0.0.1", closed_port), default_noreply=False)
    assert never_connected(_failure(lambda: call(pooled)))


def test_a_command_of_which_parts_may_have_been_sent_proves_nothing(closed_port: int) -> None:
    assert not never_connected(_failure(lambda: _client(closed_port).delete_many(["one", "two"])))
    sharded = hash.HashClient([("127.0.0.1", closed_port)], retry_attempts=0)
    assert not never_connected(_failure(lambda: sharded.set("key", "value")))


def test_a_client_that_has_tried_again_by_itself_proves_nothing(closed_port: int) -> None:
    once = retrying.RetryingClient(_client(closed_port), attempts=1)
    assert never_connected(_failure(lambda: once.set("key", "value")))
    twice = retrying.RetryingClient(_client(closed_port), attempts=2)
    assert not never_connected(_failure(lambda: twice.set("key", "value")))
