"""arq: short waits inside the job, long ones in the queue."""

from __future__ import annotations

import os
from typing import Any

import httpx

from resilience import Backoff, retry_on_category
from resilience.integrations.arq import retry_job


@retry_on_category(attempts=2, max_delay=1)  # here: a lost packet, over in a second
async def charge_card(order: str) -> str:
    """Charge the card for an order. The key makes a second request harmless."""
    url = os.environ.get("PAYMENTS", "http://payments:8000")
    async with httpx.AsyncClient(timeout=3) as client:
        response = await client.post(f"{url}/orders", json={"order": order}, headers={"Idempotency-Key": order})
    response.raise_for_status()
    return str(response.json()["id"])


@retry_job(attempts=5, backoff=Backoff(base_delay=float(os.environ.get("BASE_DELAY", "10")), max_delay=3600))
async def charge(_: dict[Any, Any], order: str) -> str:
    """Charge an order; run again by arq while the payment service is down, and not after a declined card."""
    return await charge_card(order)


class WorkerSettings:
    """The worker: ``arq examples.recipes.arq_jobs.WorkerSettings``."""

    functions = (charge,)
    max_tries = 5  # at least the attempts of its jobs
