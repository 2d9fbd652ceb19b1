"""The service that the shop depends on. It fails on request.

    uvicorn examples.shop.upstream:app --port 8001

``PUT /mode/down`` has it answer 503, ``hang`` not at all, ``payments_lost`` take a payment and answer
504, ``up`` as it should. ``GET /calls`` counts requests by path.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Literal

from fastapi import FastAPI, HTTPException

Mode = Literal["up", "down", "hang", "payments_lost"]

app = FastAPI()
calls: Counter[str] = Counter()
mode: Mode = "up"


async def _fail_if_told(path: str) -> None:
    calls[path] += 1
    if mode == "down":
        raise HTTPException(503)
    if mode == "hang":
        await asyncio.sleep(3600)


@app.get("/prices/{item}")
async def price(item: str) -> dict[str, object]:
    """Return a price."""
    await _fail_if_told("/prices")
    if item == "unicorn":
        raise HTTPException(404)
    return {"item": item, "cents": 1250}


@app.post("/payments")
async def pay() -> dict[str, str]:
    """Take a payment."""
    await _fail_if_told("/payments")
    if mode == "payments_lost":
        raise HTTPException(504)
    return {"id": f"p-{calls['/payments']}"}


@app.put("/mode/{new}")
async def set_mode(new: Mode) -> None:
    """Fail in another way from now on, or not at all."""
    global mode
    mode = new


@app.get("/calls")
async def counts() -> dict[str, int]:
    """Return how many requests there were."""
    return calls
