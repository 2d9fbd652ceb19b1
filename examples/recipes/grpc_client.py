"""gRPC: a time limit for each call by the channel itself, and its transparent retries alone."""

from __future__ import annotations

from typing import Any

import grpc  # type: ignore[import-untyped]

from resilience import remaining, standard

greeter = standard("greeter of grpc", timeout=None)  # gRPC keeps the limit: the server learns of it as well


def open_channel(target: str) -> Any:
    """Open a channel without retries of a service configuration, which would multiply with those of the stack."""
    return grpc.insecure_channel(target, options=[("grpc.enable_retries", 0)])


@greeter
def greet(channel: Any, name: str) -> str:
    """Return the answer of the greeter."""
    call = channel.unary_unary("/shop.Greeter/Greet")
    answer: bytes = call(name.encode(), timeout=min(3.0, remaining() or 3.0))
    return answer.decode()
