"""Workers of arq and Dramatiq that are killed while a real Redis is paused, killed and brought back.

Both promise that a task runs at least once: none of the orders may be lost. Some of them fail at first, and are retried
by the framework as `resilience.integrations` decides. Redis is paused while a worker is busy, and killed between two
workers: neither of them promises that a worker survives it. `test_celery` has the same of Celery, which promises less.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

import pytest

from tests.redis_server import Server

pytestmark = [
    pytest.mark.slow,  # workers in processes of their own
    pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning"),  # arq's
]

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 120
PAUSE = 0.5
ORDERS = [f"order-{number}" for number in range(60)]


class Framework:
    """The sender and the worker of one framework."""

    command: Sequence[str]

    def __init__(self, server: Server) -> None:
        self.server = server

    def send(self, orders: Sequence[str]) -> None:
        """Send a task for each order."""
        raise NotImplementedError

    def hasten(self) -> None:
        """Have a task count as left at once that a killed worker has taken."""

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        """Run a worker, which is killed at the end of the block."""
        environment = {
            **os.environ,
            "REDIS_HOST": self.server.host,
            "REDIS_PORT": str(self.server.port),
            "PYTHONPATH": str(ROOT),
        }
        self.hasten()
        running = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", *self.command],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, 9)  # with its children
            running.wait(PATIENCE)


class Arq(Framework):
    command = ("arq", "tests.integrations.arq_shop.WorkerSettings")

    def send(self, orders: Sequence[str]) -> None:
        from arq.connections import RedisSettings, create_pool

        async def enqueue() -> None:
            pool = await create_pool(RedisSettings(self.server.host, self.server.port))
            for order in orders:
                await pool.enqueue_job("charge", order)
            await pool.aclose()

        asyncio.run(enqueue())

    def hasten(self) -> None:
        """Let the marks of tasks that are running expire: they last ten seconds longer than a task may take."""
        client = self.server.client()
        for mark in client.scan_iter("arq:in-progress:*"):
            client.pexpire(mark, 1)


class Dramatiq(Framework):
    command = ("dramatiq", "tests.integrations.dramatiq_shop:broker", "--processes", "1", "--threads", "2")

    def send(self, orders: Sequence[str]) -> None:
        from tests.integrations.dramatiq_shop import make

        broker, charge = make(self.server.host, self.server.port)
        for order in orders:
            charge.send(order)
        broker.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with contextlib.closing(Server(durable=True, host="127.0.0.2")) as durable:
        yield durable


def wait_until_charged(server: Server, count: int) -> None:
    woken = threading.Event()
    for _ in range(PATIENCE * 20):
        if server.client().scard("charged") >= count:
            return
        woken.wait(0.05)
    raise AssertionError(f"{server.client().scard('charged')} of {count} orders in {PATIENCE} s")


@pytest.mark.parametrize("kind", [Arq, Dramatiq])
def test_no_order_is_lost(server: Server, kind: type[Framework]):
    pytest.importorskip(kind.__name__.lower())
    framework = kind(server)
    framework.send(ORDERS[:30])
    with framework.worker():
        wait_until_charged(server, 5)
    with framework.worker():
        wait_until_charged(server, 15)
        with server.stopped():
            threading.Event().wait(PAUSE)
        framework.send(ORDERS[30:])
        wait_until_charged(server, 35)
    server.kill()
    server.start()
    with framework.worker():
        wait_until_charged(server, len(ORDERS))
    assert {name.decode() for name in server.client().smembers("charged")} == set(ORDERS)
    assert int(server.client().get("runs of order-0")) > 1  # it was retried
