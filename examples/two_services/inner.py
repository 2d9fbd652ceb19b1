"""The inner service: knows the stock, and is hurt on demand.

    uvicorn examples.two_services.inner:app --port 8001

``GET /stock/lamp?hurt=rate_limit`` fails in that way; ``GET /calls`` counts how often each item was asked for.
"""

from __future__ import annotations

from collections import Counter

from fastapi import FastAPI

from resilience import ErrorCategory, ResilienceError
from resilience.integrations.http import install

WAIT = 0.02
"""Seconds the service asks to wait where it makes sense to come again: short, so that this does not take long."""


class StockError(ResilienceError, code="STK-E000"):
    """Any error of the stock."""


class ItemUnknown(StockError, code="STK-E001", category="not_found"):
    """There is no such item."""

    def __init__(self, item: str) -> None:
        super().__init__(f"there is no {item}", details={"item": item})
        self.item = item


app = FastAPI()
install(app)
calls: Counter[str] = Counter()


@app.get("/stock/{item}")
async def stock(item: str, hurt: str | None = None) -> dict[str, int]:
    """Return how many there are."""
    calls[item] += 1
    if hurt == "bug":
        raise KeyError("a secret of the inner service")
    if hurt == "not_found":
        raise ItemUnknown(item)
    if hurt is not None:
        category = ErrorCategory(hurt)
        wait = WAIT if category in ErrorCategory.RETRYABLE | ErrorCategory.REJECTED else None
        raise StockError(f"a secret of the inner service, about {item}", category=category, retry_after=wait)
    return {"count": 7}


@app.get("/calls")
async def asked() -> dict[str, int]:
    """Return how often each item was asked for."""
    return calls
