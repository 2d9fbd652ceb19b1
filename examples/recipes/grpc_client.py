"""gRPC: a protected channel. Its deadline is that of the stack, and the server learns of it."""

from __future__ import annotations

from typing import Any

import grpc  # type: ignore[import-untyped]

from resilience import standard
from resilience.clients import protect

READS = {"/shop.Stock/Count"}  # or `option idempotency_level = NO_SIDE_EFFECTS` in the .proto


def is_read(call: Any) -> bool:
    """Return whether a call of the channel may happen twice."""
    return call.url in READS


def open_channel(target: str) -> Any:
    """Open a channel. Make the stubs of it, and not of another one."""
    return protect(grpc.insecure_channel(target), standard("stock of grpc", idempotent=is_read))


def count(channel: Any, item: str) -> str:
    """Return how many there are."""
    call = channel.unary_unary("/shop.Stock/Count")
    answer: bytes = call(item.encode())
    return answer.decode()
