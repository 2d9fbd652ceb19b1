"""Jobs of arq that are retried by category, with a real worker and a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from resilience import Backoff
from resilience.integrations.arq import retry_job
from tests.redis_server import Server

arq = pytest.importorskip("arq")

# arq calls a method of redis-py that has another name now.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")

PATIENCE = 60
QUICK = Backoff(base_delay=0.01, max_delay=0.02)
runs: Counter[str] = Counter()


@retry_job(attempts=3, backoff=QUICK)
async def charge(ctx: dict[str, Any], order: str, failures: int, kind: type[Exception]) -> str:
    runs[order] += 1
    if runs[order] <= failures:
        raise kind(order)
    return f"charged at run {ctx['job_try']}"


@retry_job(backoff=QUICK)
async def own(ctx: dict[str, Any], order: str) -> str:
    runs[order] += 1
    if runs[order] == 1:
        raise arq.Retry(defer=0)
    return "its own way"


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with contextlib.closing(Server()) as server:
        yield server


def outcome_of(redis: Server, function: str, *args: object) -> object:
    """Enqueue a job, let a worker make it, and return its result or its exception."""

    async def scenario() -> object:
        settings = arq.connections.RedisSettings(port=redis.port)
        pool = await arq.create_pool(settings)
        job = await pool.enqueue_job(function, *args)
        worker = arq.Worker([charge, own], redis_pool=pool, burst=True, poll_delay=0.01, handle_signals=False)
        try:
            await worker.main()
            info = await job.result_info()
            return info.result
        finally:
            await worker.close()
            await pool.aclose()

    return asyncio.run(asyncio.wait_for(scenario(), PATIENCE))


def test_a_transient_failure_is_retried_until_it_is_gone(redis: Server):
    assert outcome_of(redis, "charge", "order-1", 2, ConnectionResetError) == "charged at run 3"


def test_the_last_failure_is_the_jobs_own(redis: Server):
    assert isinstance(outcome_of(redis, "charge", "order-2", 99, ConnectionResetError), ConnectionResetError)
    assert runs["order-2"] == 3


def test_a_failure_that_stays_is_not_retried(redis: Server):
    assert isinstance(outcome_of(redis, "charge", "order-3", 99, KeyError), KeyError)
    assert runs["order-3"] == 1


def test_a_retry_of_arqs_own_passes_untouched(redis: Server):
    assert outcome_of(redis, "own", "order-4") == "its own way"
    assert runs["order-4"] == 2
