"""gRPC: a time limit for each call by the channel itself, and its transparent retries alone."""

from __future__ import annotations

from typing import Any

import grpc  # type: ignore[import-untyped]

from resilience import remaining, standard

stock = standard("stock of grpc", timeout=None)  # gRPC keeps the limit: the server learns of it as well


def open_channel(target: str) -> Any:
    """Open a channel without retries of a service configuration, which would multiply with those of the stack."""
    return grpc.insecure_channel(target, options=[("grpc.enable_retries", 0)])


@stock
def count(channel: Any, item: str) -> str:
    """Return how many there are."""
    call = channel.unary_unary("/shop.Stock/Count")
    answer: bytes = call(item.encode(), timeout=min(3.0, remaining() or 3.0))
    return answer.decode()
