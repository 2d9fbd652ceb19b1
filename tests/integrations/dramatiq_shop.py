"""A worker of Dramatiq in a process of its own, with the Redis on `REDIS_HOST` and `REDIS_PORT`."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from resilience import Backoff
from resilience.integrations.dramatiq import CategoryRetries, middleware


def make(host: str, port: int) -> tuple[RedisBroker, Any]:
    retries = CategoryRetries(max_retries=50, backoff=Backoff(base_delay=0.01, max_delay=0.05))
    quiet = [each for each in middleware(retries) if type(each).__name__ != "Prometheus"]
    # A worker is taken for dead after a second, and each command looks for what dead ones have left.
    broker = RedisBroker(host=host, port=port, middleware=quiet, heartbeat_timeout=1000, maintenance_chance=1_000_000)
    store = redis.Redis(host=host, port=port)

    @dramatiq.actor(broker=broker)
    def charge(order: str) -> None:
        if store.incr(f"runs of {order}") == 1 and order.endswith("0"):
            raise ConnectionResetError(order)
        store.sadd("charged", order)

    return broker, charge


if "REDIS_HOST" in os.environ:
    broker, _ = make(os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"]))
