"""The retry strategies that are simulated: real libraries, each set up by its own options."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import stamina
import stamina.instrumentation
import tenacity

import resilience
from resilience.policies.retry_budget import RetryBudget

__all__ = [
    "NO_RETRY",
    "BUDGET",
    "STRATEGIES",
    "DISTRIBUTIONS",
    "NO_BUDGET",
    "STAMINA",
    "Strategy",
    "Request",
    "logging_disabled",
]

Request: TypeAlias = Callable[..., Awaitable[object]]

DISTRIBUTIONS = ("tenacity", "stamina", "category-resilience")
_RETRIED = (ConnectionError, TimeoutError)


@dataclass(frozen=True)
class Strategy:
    """A way to make a call."""

    name: str
    #: The code of it.
    code: str
    wrap: Callable[[Request], Request]
    #: How many of the thousand clients are simulated. The dependency is smaller by the same factor.
    clients: int = 1000
    #: The processes that the clients are spread over. `wrap` is called once for each.
    processes: int = 1
    #: Whether it is drawn, and simulated in all scenes.
    shown: bool = True


def _no_retry(request: Request) -> Request:
    return request


def _budget(request: Request) -> Request:
    return resilience.retry_on_category(budget=RetryBudget("dependency"))(request)


def _small_budget(request: Request) -> Request:
    return resilience.retry_on_category(budget=RetryBudget("dependency", tokens=14, reserve=0))(request)


def _no_budget(request: Request) -> Request:
    return resilience.retry_on_category()(request)


def _stamina(request: Request) -> Request:
    return stamina.retry(on=_RETRIED)(request)


def _stamina_three(request: Request) -> Request:
    return stamina.retry(on=_RETRIED, attempts=3)(request)


def _tenacity(request: Request) -> Request:
    return tenacity.retry(request)


def _tenacity_three(request: Request) -> Request:
    return tenacity.retry(wait=tenacity.wait_random_exponential(), stop=tenacity.stop_after_attempt(3))(request)


NO_RETRY = Strategy("no retry", "`await request()`", _no_retry)
BUDGET = Strategy("ours, with a budget", '`@retry_on_category(budget=RetryBudget("dependency"))`', _budget)
NO_BUDGET = Strategy("ours, without a budget", "`@retry_on_category()`: 3 attempts", _no_budget)
STAMINA = Strategy("stamina", "`@stamina.retry(on=...)`: 10 attempts within 45 s", _stamina, clients=250)
STRATEGIES = (
    NO_RETRY,
    BUDGET,
    NO_BUDGET,
    Strategy(
        "tenacity, 3 attempts",
        "`@retry(wait=wait_random_exponential(), stop=stop_after_attempt(3))`",
        _tenacity_three,
        clients=500,
    ),
    Strategy("stamina, 3 attempts", "`@stamina.retry(on=..., attempts=3)`", _stamina_three, clients=500),
    STAMINA,
    # A call that fails is repeated a hundred times a second, for ever: a thousand clients were 180 million requests.
    Strategy("tenacity", "`@retry`: for ever, without a wait", _tenacity, clients=1),
    Strategy(
        "ours, in 100 processes",
        'the same `RetryBudget("dependency")`, but one in each process of ten clients',
        _budget,
        processes=100,
        shown=False,
    ),
    Strategy(
        "ours, in 100 processes, sized",
        'so, but `RetryBudget("dependency", tokens=14, reserve=0)`',
        _small_budget,
        processes=100,
        shown=False,
    ),
)


@contextmanager
def logging_disabled() -> Generator[None]:
    """Log nothing: stamina logs every retry."""
    disabled, hooks = logging.root.manager.disable, stamina.instrumentation.get_on_retry_hooks()
    logging.disable()
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        yield
    finally:
        stamina.instrumentation.set_on_retry_hooks(hooks)
        logging.disable(disabled)
