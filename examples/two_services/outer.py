"""The outer service: makes offers, for which it asks the inner one.

    INNER=http://127.0.0.1:8001 uvicorn examples.two_services.outer:app --port 8000

What is transient is tried three times. What then still fails goes up as what it is, so that callers know whether to
come again. Where the inner service did not like *our* request, that is our failure, not our caller's.

Each failure is a line of JSON on stderr, and a number at ``/metrics``.
"""

from __future__ import annotations

import os
from typing import cast

import httpx
from fastapi import FastAPI
from prometheus_client import make_asgi_app  # pyright: ignore[reportUnknownVariableType]
from starlette.types import ASGIApp

from examples.two_services.logs import log_as_json
from resilience import ErrorCategory, ResilienceError, retry_on_category, track_errors, translating
from resilience.integrations import prometheus
from resilience.integrations.http import install, raise_for_problem
from resilience.integrations.logging import log_events

INNER = os.environ.get("INNER", "http://127.0.0.1:8001")


class OfferError(ResilienceError, code="OFR-E000"):
    """Any error of the offers."""


class StockRefusedUs(OfferError, code="OFR-E001", category="dependency"):
    """The inner service did not take our request: a bug, a wrong key."""


app = FastAPI()
install(app)
app.mount("/metrics", cast("ASGIApp", make_asgi_app()))  # pyright: ignore[reportUnknownMemberType]
log_as_json()
log_events(bind={"service": "offers"}, text=False)  # JSON has the keys
prometheus.install(component="offers")


@track_errors(component="stock")
@translating({ErrorCategory.VALIDATION | ErrorCategory.AUTH_FAILURE: StockRefusedUs})
@retry_on_category(ErrorCategory.TRANSIENT, attempts=3, base_delay=0.01)
async def count_of(item: str, hurt: str | None) -> int:
    """Return how many there are."""
    async with httpx.AsyncClient(base_url=INNER, timeout=5, trust_env=False) as client:
        params = {} if hurt is None else {"hurt": hurt}
        answer = raise_for_problem(await client.get(f"/stock/{item}", params=params))
    found: dict[str, int] = answer.json()
    return found["count"]


@app.get("/offers/{item}")
async def offer(item: str, hurt: str | None = None) -> dict[str, str]:
    """Return an offer."""
    return {"offer": f"{await count_of(item, hurt)} of {item}"}
