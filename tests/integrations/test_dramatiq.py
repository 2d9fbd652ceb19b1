"""Actors of Dramatiq that are retried by category, with a real worker and a real Redis."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Retries

from resilience import Backoff
from resilience.integrations.dramatiq import CategoryRetries, middleware
from tests.redis_server import Server

PATIENCE = 60


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with contextlib.closing(Server()) as server:
        yield server


class Shop:
    """Actors, and how often each was run."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.runs: Counter[str] = Counter()
        self.exhausted: list[str] = []

        @dramatiq.actor(broker=broker, on_retry_exhausted="failed")
        def charge(order: str, failures: int, kind: str) -> None:
            self.runs[order] += 1
            if self.runs[order] <= failures:
                raise {"reset": ConnectionResetError, "bug": ValueError, "retry": dramatiq.Retry}[kind](order)

        @dramatiq.actor(broker=broker, max_retries=0)
        def failed(message: dict[str, Any], _: dict[str, Any]) -> None:
            self.exhausted.append(message["args"][0])

        self.charge, self.failed = charge, failed

    def run(self, *args: object) -> None:
        """Send a message, and wait until the queue is empty."""
        self.charge.send(*args)
        self.broker.join(self.charge.queue_name, timeout=PATIENCE * 1000)


@pytest.fixture
def shop(redis: Server) -> Iterator[Shop]:
    redis.client().flushall()
    retries = CategoryRetries(max_retries=2, backoff=Backoff(base_delay=0.01, max_delay=0.02))
    broker = RedisBroker(port=redis.port, middleware=[each for each in middleware(retries) if _is_quiet(each)])
    made = Shop(broker)
    worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=2)
    worker.start()
    yield made
    worker.stop()
    broker.close()


def _is_quiet(part: dramatiq.Middleware) -> bool:
    """Time limits interrupt threads by a timer, and there is no server of Prometheus here."""
    return type(part).__name__ not in {"TimeLimit", "Prometheus"}


def test_a_transient_failure_is_retried_until_it_is_gone(shop: Shop):
    shop.run("order-1", 2, "reset")
    assert (shop.runs["order-1"], shop.exhausted) == (3, [])


def test_retries_end_as_those_of_dramatiq_do(shop: Shop):
    shop.run("order-2", 99, "reset")
    assert (shop.runs["order-2"], shop.exhausted) == (3, ["order-2"])


def test_a_failure_that_stays_is_not_retried(shop: Shop):
    shop.run("order-3", 99, "bug")
    assert (shop.runs["order-3"], shop.exhausted) == (1, ["order-3"])


def test_a_retry_of_dramatiqs_own_passes_untouched(redis: Server):
    message = dramatiq.Message("default", "charge", (), {}, {})
    retries = CategoryRetries()
    assert isinstance(retries, Retries)
    assert retries.actor_options == Retries().actor_options
    assert message.options == {}


def test_the_default_middleware_keeps_its_order_but_for_the_retries():
    kinds = [type(part) for part in middleware()]
    assert [CategoryRetries if kind is Retries else kind for kind in dramatiq.middleware.default_middleware] == kinds
