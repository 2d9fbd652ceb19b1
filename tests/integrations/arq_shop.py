"""A worker of arq in a process of its own, with the Redis on `REDIS_HOST` and `REDIS_PORT`."""

from __future__ import annotations

import os
from typing import Any

import arq.connections

from resilience import Backoff
from resilience.integrations.arq import retry_job


def settings() -> arq.connections.RedisSettings:
    return arq.connections.RedisSettings(os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"]))


@retry_job(attempts=50, backoff=Backoff(base_delay=0.01, max_delay=0.05))
async def charge(ctx: dict[Any, Any], order: str) -> None:
    store = ctx["redis"]
    if await store.incr(f"runs of {order}") == 1 and order.endswith("0"):
        raise ConnectionResetError(order)
    await store.sadd("charged", order)


class WorkerSettings:
    functions = (charge,)
    max_jobs = 3
    max_tries = 50
    job_timeout = 10
    poll_delay = 0.05
    redis_settings = settings() if "REDIS_HOST" in os.environ else None
