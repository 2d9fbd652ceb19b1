"""This project, set up as its peers are."""

from __future__ import annotations

import resilience
from benchmarks.terms import ATTEMPTS, DEFAULT, NEVER, RESET, THRESHOLD, Function, new_name

NAME = "resilience"
DISTRIBUTIONS = ("category-resilience",)
IMPORTS = {
    "resilience": "import resilience",
    # The rooms behind the front door open when they are needed: with the first function that is guarded, ...
    "resilience with a first retry": "import resilience; resilience.retry_on_category(attempts=3)(lambda: None)",
    # ... and pybreaker, with what it brings along, with the first circuit.
    "resilience with its breaker": "from resilience import CircuitBreaker",
}


def retry(function: Function) -> Function:
    guarded: Function = resilience.retry_on_category(attempts=ATTEMPTS, base_delay=0)(function)
    return guarded


def breaker(function: Function) -> Function:
    guarded: Function = resilience.circuit_breaker(new_name(), failure_threshold=THRESHOLD, reset_timeout=RESET)(
        function
    )
    return guarded


def fallback(function: Function) -> Function:
    guarded: Function = resilience.fallback(default=DEFAULT)(function)
    return guarded


def fallback_breaker(function: Function) -> Function:
    return fallback(breaker(function))


def stack(function: Function) -> Function:
    return fallback(retry(breaker(function)))


def limit(function: Function, seconds: float = NEVER) -> Function:
    guarded: Function = resilience.timeout(seconds)(function)
    return guarded
