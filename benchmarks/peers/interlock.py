"""interlock-cb: a breaker, and a pipeline whose retry is tenacity's.

Its breaker knows rates, not failures in a row: all of the last five calls is the same.
"""

from __future__ import annotations

from typing import Any

from interlock import CircuitBreaker, Config, Pipeline, Registry
from tenacity import wait_none

from benchmarks.terms import ARGUMENT, ATTEMPTS, DEFAULT, NEVER, RESET, SLOTS, THRESHOLD, Function, Wrap, new_name

NAME = "interlock-cb"
DISTRIBUTIONS = ("interlock-cb", "tenacity")
IMPORTS = {"interlock-cb": "import interlock"}


_CONFIG = Config(
    failure_rate_threshold=1.0,
    minimum_number_of_calls=THRESHOLD,
    window_size=THRESHOLD,
    wait_duration_in_open=RESET,
)


def _breaker() -> CircuitBreaker:
    return CircuitBreaker(name=new_name(), config=_CONFIG)


def circuit() -> tuple[Any, Wrap]:
    made = _breaker()
    return made, made


def keyed() -> tuple[Function, Function]:
    registry = Registry(config=_CONFIG)
    return new_name, lambda key, function: registry.get(key).call(function, ARGUMENT)


def retry(function: Function) -> Function:
    return Pipeline.builder().retry(attempts=ATTEMPTS, wait=wait_none()).build()(function)


def breaker(function: Function) -> Function:
    return circuit()[1](function)


def fallback(function: Function) -> Function:
    return Pipeline.builder().fallback(lambda error: DEFAULT).build()(function)


def fallback_breaker(function: Function) -> Function:
    return Pipeline.builder().fallback(lambda error: DEFAULT).circuit_breaker(_breaker()).build()(function)


def stack(function: Function) -> Function:
    builder = Pipeline.builder().fallback(lambda error: DEFAULT).retry(attempts=ATTEMPTS, wait=wait_none())
    return builder.circuit_breaker(_breaker()).build()(function)


def limit(function: Function, seconds: float = NEVER) -> Function:
    return Pipeline.builder().timeout(seconds).build()(function)


def full(function: Function, seconds: float = NEVER) -> Function:
    builder = Pipeline.builder().fallback(lambda error: DEFAULT).retry(attempts=ATTEMPTS, wait=wait_none())
    return builder.circuit_breaker(_breaker()).timeout(seconds).build()(function)


def bulkhead(function: Function) -> Function:
    return Pipeline.builder().bulkhead(SLOTS).build()(function)
