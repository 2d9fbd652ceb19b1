"""Tasks of Celery that are retried by category, with real workers and a real Redis."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_client

from tests.redis_server import Server

pytest.importorskip("celery")

pytestmark = pytest.mark.slow  # workers in processes of their own

PATIENCE = 60
ROOT = pathlib.Path(__file__).parents[2]


@contextlib.contextmanager
def worker(port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "tests.integrations.celery_shop"]
    environment = {**os.environ, "REDIS_PORT": str(port), "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        [*command, "worker", "-P", "solo", "-l", "ERROR", "--without-gossip", "--without-mingle"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait(timeout=PATIENCE)


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with contextlib.closing(Server()) as server:
        yield server


@pytest.fixture(scope="module")
def tasks(redis: Server) -> Iterator[dict[str, Any]]:
    from tests.integrations.celery_shop import make

    app = make(redis.port)
    with worker(redis.port):
        yield app.tasks
    app.close()


def runs(redis: Server, name: str) -> int:
    return int(redis.client().get(name) or 0)


def test_a_transient_failure_is_retried_until_it_is_gone(redis: Server, tasks: dict[str, Any]):
    assert tasks["charge"].delay("order-1", 2, "reset").get(timeout=PATIENCE) == "charged after 2 retries"
    assert runs(redis, "order-1") == 3


def test_the_last_failure_is_the_tasks_own(redis: Server, tasks: dict[str, Any]):
    with pytest.raises(ConnectionResetError):
        tasks["charge"].delay("order-2", 99, "reset").get(timeout=PATIENCE)
    assert runs(redis, "order-2") == 4


def test_a_failure_that_stays_is_not_retried(redis: Server, tasks: dict[str, Any]):
    with pytest.raises(ValueError, match="bug"):
        tasks["charge"].delay("order-3", 99, "bug").get(timeout=PATIENCE)
    assert runs(redis, "order-3") == 1


def test_control_flow_of_celery_passes_untouched(redis: Server, tasks: dict[str, Any]):
    tasks["charge"].delay("order-4", 99, "ignore")
    assert tasks["own"].delay("order-5").get(timeout=PATIENCE) == "its own way"
    assert (runs(redis, "order-4"), runs(redis, "order-5")) == (1, 2)


def test_a_task_that_is_called_as_a_function_raises_its_failure(redis: Server, tasks: dict[str, Any]):
    with pytest.raises(ConnectionResetError):
        tasks["charge"]("order-6", 99, "reset")
    assert runs(redis, "order-6") == 1


def test_no_task_is_lost_whose_worker_is_killed():
    """A task is acknowledged when it has ended (``acks_late``): another worker gets it after the first one has gone."""
    from tests.integrations.celery_shop import make

    with contextlib.closing(Server()) as server, redis_client.Redis(port=server.port, socket_timeout=None) as store:
        app = make(server.port)
        with worker(server.port) as first:
            result = app.tasks["survive"].delay("order-7")
            assert store.blpop(["started"], timeout=PATIENCE) == (b"started", b"order-7")
            first.kill()
            first.wait(timeout=PATIENCE)
            store.set("proceed", 1)
        with worker(server.port):
            assert result.get(timeout=PATIENCE) == "order-7 after 1 retries"
        app.close()
