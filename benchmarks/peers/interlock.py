"""interlock-cb: a breaker, and a pipeline whose retry is tenacity's.

Its breaker knows rates, not failures in a row: all of the last five is the same thing.
"""

from __future__ import annotations

from interlock import CircuitBreaker, Config, Pipeline
from tenacity import wait_none

from benchmarks.terms import ATTEMPTS, DEFAULT, NEVER, RESET, THRESHOLD, Function, new_name

NAME = "interlock-cb"
DISTRIBUTIONS = ("interlock-cb", "tenacity")
IMPORTS = {"interlock-cb": "import interlock"}


def _breaker() -> CircuitBreaker:
    config = Config(
        failure_rate_threshold=1.0,
        minimum_number_of_calls=THRESHOLD,
        window_size=THRESHOLD,
        wait_duration_in_open=RESET,
    )
    return CircuitBreaker(name=new_name(), config=config)


def retry(function: Function) -> Function:
    return Pipeline.builder().retry(attempts=ATTEMPTS, wait=wait_none()).build()(function)


def breaker(function: Function) -> Function:
    return _breaker()(function)


def fallback(function: Function) -> Function:
    return Pipeline.builder().fallback(lambda error: DEFAULT).build()(function)


def fallback_breaker(function: Function) -> Function:
    return Pipeline.builder().fallback(lambda error: DEFAULT).circuit_breaker(_breaker()).build()(function)


def stack(function: Function) -> Function:
    builder = Pipeline.builder().fallback(lambda error: DEFAULT).retry(attempts=ATTEMPTS, wait=wait_none())
    return builder.circuit_breaker(_breaker()).build()(function)


def limit(function: Function, seconds: float = NEVER) -> Function:
    return Pipeline.builder().timeout(seconds).build()(function)
