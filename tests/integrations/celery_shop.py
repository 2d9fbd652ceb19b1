"""A Celery application for a worker in a process of its own, with the Redis on `REDIS_PORT`.

Each run of a task is counted in that Redis, by the name that it was given.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import celery
import redis
from celery.exceptions import Ignore

from resilience import Backoff
from resilience.integrations.celery import retry_task

KINDS = {"reset": ConnectionResetError, "bug": ValueError, "ignore": Ignore}
QUICK = Backoff(base_delay=0.01, max_delay=0.05)


def make(port: int) -> Any:
    url = f"redis://127.0.0.1:{port}/0"
    app = celery.Celery("tests.integrations.celery_shop", broker=url, backend=url)
    # A worker gives back what others have left when it starts, and then every hundred seconds: a task that was taken a
    # moment before must count as left.
    app.conf.update(broker_transport_options={"visibility_timeout": 0.1}, worker_prefetch_multiplier=1)
    store = redis.Redis(port=port)

    @app.task(bind=True, shared=False, max_retries=3, name="charge")
    @retry_task(backoff=QUICK)
    def charge(task: Any, name: str, failures: int, kind: str) -> str:
        if store.incr(name) <= failures:
            raise KINDS[kind](kind)
        return f"charged after {task.request.retries} retries"

    @app.task(bind=True, shared=False, max_retries=3, name="own")
    @retry_task(backoff=QUICK)
    def own(task: Any, name: str) -> str:
        if store.incr(name) == 1:
            raise task.retry(countdown=0)
        return "its own way"

    @app.task(bind=True, shared=False, name="survive", acks_late=True, max_retries=3)
    @retry_task(backoff=QUICK)
    def survive(task: Any, order: str) -> str:
        store.rpush("started", order)
        if not store.exists("proceed"):
            threading.Event().wait()  # until the worker is killed
        if task.request.retries == 0:
            raise ConnectionResetError
        return f"{order} after {task.request.retries} retries"

    return app


if "REDIS_PORT" in os.environ:
    app = make(int(os.environ["REDIS_PORT"]))
