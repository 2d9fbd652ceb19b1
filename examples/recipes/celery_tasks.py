"""Celery: short waits inside the task, long ones in the queue."""

from __future__ import annotations

import os
from typing import Any

import httpx
from celery import Celery

from resilience import Backoff, retry_on_category
from resilience.integrations.celery import retry_task

redis = os.environ.get("REDIS_URL", "redis://localhost")
app: Any = Celery("examples.recipes.celery_tasks", broker=redis, backend=redis)


@retry_on_category(attempts=2, max_delay=1)  # here: a lost packet, over in a second
def charge_card(order: str) -> str:
    """Charge the card for an order. The key makes a second request harmless."""
    url = os.environ.get("PAYMENTS", "http://payments:8000")
    response = httpx.post(f"{url}/orders", json={"order": order}, headers={"Idempotency-Key": order}, timeout=3)
    response.raise_for_status()
    return str(response.json()["id"])


@app.task(bind=True, max_retries=8, acks_late=True)  # acks_late: a worker that dies leaves the task to another one
@retry_task(backoff=Backoff(base_delay=float(os.environ.get("BASE_DELAY", "10")), max_delay=3600))  # there: an outage
def charge(_: Any, order: str) -> str:
    """Charge an order; run again by Celery while the payment service is down, and not after a declined card."""
    return charge_card(order)
