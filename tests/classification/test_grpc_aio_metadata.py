"""The metadata of `grpc.aio` are like a mapping whose values are lists."""

from __future__ import annotations

import math

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from resilience.classification import retry_after


@pytest.mark.parametrize(("pushback", "seconds"), [("1500", 1.5), ("-1", math.inf), ("soon", math.inf)])
def test_the_pushback_of_an_async_server_is_read(pushback: str, seconds: float):
    metadata = Metadata(("x-other", "5"), ("grpc-retry-pushback-ms", pushback))
    error = AioRpcError(grpc.StatusCode.UNAVAILABLE, Metadata(), metadata)
    hint = retry_after(error)
    assert hint == seconds


def test_metadata_without_a_pushback_hold_no_hint():
    assert retry_after(AioRpcError(grpc.StatusCode.UNAVAILABLE, Metadata(), Metadata(("x-other", "5")))) is None
