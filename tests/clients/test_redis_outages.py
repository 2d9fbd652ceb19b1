"""A real Redis that is killed, paused and brought back while many calls are made by protected clients.

Each order is one transaction: it is put on a list, and counted. What the client has acknowledged must be there once; of
what it has not, no part may be there without the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis import asyncio as async_redis

from resilience import StopReason, report_of, retry_on_category, timeout
from resilience.clients import protect
from tests.redis_server import Server

pytestmark = pytest.mark.slow  # a server that is started, killed, and started again

CALLERS = 6
ORDERS_BETWEEN = 60
PATIENCE = 120
PAUSE = 0.5
POLICIES = (
    retry_on_category(attempts=2000, base_delay=0.01, max_delay=0.05),
    timeout(0.2),
)


@pytest.fixture
def server() -> Iterator[Server]:
    with contextlib.closing(Server(durable=True, host="127.0.0.2")) as durable:
        yield durable


class Orders:
    """The orders that were acknowledged, and the failures of the others."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.acknowledged: list[int] = []
        self.failures: list[Exception] = []
        self.is_over = False

    def check(self, server: Server, outages: int) -> None:
        stored = Counter(map(int, server.client().lrange("orders", 0, -1)))
        assert set(stored.values()) == {1}  # none is there twice
        assert set(self.acknowledged) <= set(stored)  # none is lost
        assert int(server.client().get("count")) == len(stored)  # none is there by half
        assert all(isinstance(failure, redis.ConnectionError | redis.TimeoutError) for failure in self.failures)
        assert {report_of(failure).reason for failure in self.failures} <= {StopReason.NOT_IDEMPOTENT}
        assert len(self.failures) <= CALLERS * outages  # those that were in flight, and no others

    def let_outages_happen(self, server: Server) -> int:
        """Kill and pause the server twice each, with orders in between; return how often it was away."""
        for _ in range(2):
            self._wait_for_orders()
            server.kill()
            server.start()
            self._wait_for_orders()
            with server.stopped():
                threading.Event().wait(PAUSE)
        self._wait_for_orders()
        self.is_over = True
        return 4

    def _wait_for_orders(self) -> None:
        before, woken = len(self.acknowledged), threading.Event()
        for _ in range(PATIENCE * 100):
            if len(self.acknowledged) >= before + ORDERS_BETWEEN:
                return
            woken.wait(0.01)
        raise AssertionError(f"{len(self.acknowledged) - before} orders in {PATIENCE} s: {self.failures[-3:]}")


def test_no_order_is_lost_and_none_is_made_twice(server: Server):
    orders = Orders()

    def call(guarded: redis.Redis, name: str) -> None:
        while not orders.is_over:
            number = next(orders.numbers)
            try:
                guarded.pipeline().rpush("orders", number).incr("count").execute()
                orders.acknowledged.append(number)
            except redis.RedisError as failure:
                orders.failures.append(failure)
            guarded.set(name, number)  # may be made twice, so it succeeds each time
            assert guarded.get(name) == str(number).encode()

    with protect(redis.Redis(host=server.host, port=server.port, socket_timeout=PATIENCE), *POLICIES) as guarded:
        errors: list[BaseException] = []

        def caller(name: str) -> None:
            try:
                call(guarded, name)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=caller, args=(f"caller {number}",)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            outages = orders.let_outages_happen(server)
        finally:
            orders.is_over = True
            for thread in threads:
                thread.join(PATIENCE)
    assert errors == []
    orders.check(server, outages)


def test_async_no_order_is_lost_and_none_is_made_twice(server: Server):
    orders = Orders()

    async def call(guarded: Any, name: str) -> None:
        while not orders.is_over:
            number = next(orders.numbers)
            try:
                await guarded.pipeline().rpush("orders", number).incr("count").execute()
                orders.acknowledged.append(number)
            except redis.RedisError as failure:
                orders.failures.append(failure)
            await guarded.set(name, number)
            assert await guarded.get(name) == str(number).encode()

    async def scenario() -> int:
        async with protect(
            async_redis.Redis(host=server.host, port=server.port, socket_timeout=PATIENCE), *POLICIES
        ) as guarded:
            outages = asyncio.create_task(asyncio.to_thread(orders.let_outages_happen, server))
            async with asyncio.TaskGroup() as callers:
                for number in range(CALLERS):
                    callers.create_task(call(guarded, f"caller {number}"))
                try:
                    return await outages
                finally:
                    orders.is_over = True

    orders.check(server, asyncio.run(asyncio.wait_for(scenario(), PATIENCE)))
