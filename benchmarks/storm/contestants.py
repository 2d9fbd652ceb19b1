"""Who takes part: libraries as they are, each told what to do in its own words."""

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
from benchmarks.storm.scene import Overloaded
from resilience.policies.retry_budget import RetryBudget

__all__ = [
    "ALONE",
    "BUDGET",
    "CONTESTANTS",
    "DISTRIBUTIONS",
    "FAILURES",
    "NO_BUDGET",
    "STAMINA",
    "Contestant",
    "Request",
    "quiet",
]

Request: TypeAlias = Callable[[], Awaitable[None]]

DISTRIBUTIONS = ("tenacity", "stamina", "category-resilience")
_RETRIED = (ConnectionError, TimeoutError)
#: What a call comes to that fails; tenacity wraps what it gives up on.
FAILURES = (*_RETRIED, Overloaded, tenacity.RetryError)


@dataclass(frozen=True)
class Contestant:
    """A way to make a call."""

    name: str
    #: How it is written.
    told: str
    wrap: Callable[[Request], Request]
    #: How many clients of the thousand are simulated. The dependency is as much smaller.
    clients: int = 1000
    #: In how many processes they are, each with its own of what `wrap` makes.
    processes: int = 1
    #: Whether it is drawn, and takes part in all there is.
    shown: bool = True


def _alone(request: Request) -> Request:
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


ALONE = Contestant("no retry", "`await request()`", _alone)
BUDGET = Contestant("ours, with a budget", '`@retry_on_category(budget=RetryBudget("dependency"))`', _budget)
NO_BUDGET = Contestant("ours, without a budget", "`@retry_on_category()`: 3 attempts", _no_budget)
STAMINA = Contestant("stamina", "`@stamina.retry(on=...)`: 10 attempts within 45 s", _stamina, clients=250)
CONTESTANTS = (
    ALONE,
    BUDGET,
    NO_BUDGET,
    Contestant(
        "tenacity, 3 attempts",
        "`@retry(wait=wait_random_exponential(), stop=stop_after_attempt(3))`",
        _tenacity_three,
        clients=500,
    ),
    Contestant("stamina, 3 attempts", "`@stamina.retry(on=..., attempts=3)`", _stamina_three, clients=500),
    STAMINA,
    # A call that fails is repeated a hundred times a second, for ever: a thousand clients were 180 million requests.
    Contestant("tenacity", "`@retry`: for ever, without a wait", _tenacity, clients=1),
    Contestant(
        "ours, in 100 processes",
        'the same `RetryBudget("dependency")`, but one in each process of ten clients',
        _budget,
        processes=100,
        shown=False,
    ),
    Contestant(
        "ours, in 100 processes, sized",
        'so, but `RetryBudget("dependency", tokens=14, reserve=0)`',
        _small_budget,
        processes=100,
        shown=False,
    ),
)


@contextmanager
def quiet() -> Generator[None]:
    """Log nothing: stamina tells of every retry."""
    disabled, hooks = logging.root.manager.disable, stamina.instrumentation.get_on_retry_hooks()
    logging.disable()
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        yield
    finally:
        stamina.instrumentation.set_on_retry_hooks(hooks)
        logging.disable(disabled)
