"""circuitbreaker: told which errors count. Its `with` block does not ask whether it is open, and is left out."""

from __future__ import annotations

from contextlib import AbstractContextManager
from unittest import mock

import circuitbreaker

from benchmarks.half_open.terms import BLOCKS, HALF_OPEN, RESET, TASKS, THREADS, THRESHOLD, Breaker, Settings, Time
from benchmarks.terms import ERROR, new_name

NAME = "circuitbreaker"
DISTRIBUTIONS = ("circuitbreaker",)
ROADS = {THREADS: "", TASKS: ""}
LACKS = {
    BLOCKS: "its block does not ask whether it is open",
    "a-listener-that-raises-keeps-it-from-opening": "has no listeners",
}


def patched(time: Time) -> AbstractContextManager[object]:
    return mock.patch.object(circuitbreaker, "monotonic", time.monotonic)


def breaker(road: str, settings: Settings, time: Time) -> Breaker:
    made = circuitbreaker.CircuitBreaker(
        failure_threshold=THRESHOLD, recovery_timeout=RESET, expected_exception=ERROR, name=new_name()
    )

    def state() -> str:
        found: str = made.state
        return HALF_OPEN if found == circuitbreaker.STATE_HALF_OPEN else found

    return Breaker(made, state, circuitbreaker.CircuitBreakerError, (settings.own_fault,))
