"""circuitbreaker: set up with the errors that count. Its `with` block admits calls when it is open: left out."""

from __future__ import annotations

from contextlib import AbstractContextManager
from unittest import mock

import circuitbreaker

from benchmarks.half_open.terms import BLOCKS, HALF_OPEN, RESET, TASKS, THREADS, THRESHOLD, Breaker, Clocks, Settings
from benchmarks.terms import ERROR, new_name

NAME = "circuitbreaker"
DISTRIBUTIONS = ("circuitbreaker",)
STYLES = {THREADS: "", TASKS: ""}
LACKS = {
    BLOCKS: "its block does not check whether the circuit is open",
    "a-listener-that-raises-keeps-it-from-opening": "has no listeners",
}


def patch_clock(clocks: Clocks) -> AbstractContextManager[object]:
    return mock.patch.object(circuitbreaker, "monotonic", clocks.monotonic)


def breaker(style: str, settings: Settings, clocks: Clocks) -> Breaker:
    made = circuitbreaker.CircuitBreaker(
        failure_threshold=THRESHOLD, recovery_timeout=RESET, expected_exception=ERROR, name=new_name()
    )

    def state() -> str:
        found: str = made.state
        return HALF_OPEN if found == circuitbreaker.STATE_HALF_OPEN else found

    return Breaker(made, state, circuitbreaker.CircuitBreakerError, (settings.caller_bug,))
