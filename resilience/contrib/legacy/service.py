"""Retry with backoff and a circuit breaker by exception class, as a distributed LLM service defines them.

>>> import anyio
>>> from resilience.testing import virtual_time
>>> answers = iter([OSError(), OSError(), "planned"])
>>> def plan() -> str:
...     answer = next(answers)
...     if isinstance(answer, Exception):
...         raise answer
...     return answer
>>> async def main() -> str:
...     return await retry_with_backoff(plan, jitter=False)
>>> with virtual_time() as clock:
...     anyio.run(main), clock.now()
('planned', 3.0)
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar, overload

from resilience._validation import parse_count, parse_duration, parse_number, require_bool
from resilience.contrib.legacy._breaker import ClassBreaker
from resilience.contrib.legacy._retry import Formula, retries
from resilience.contrib.legacy._validation import Classes, a_call, classes
from resilience.policies.circuit_states import CircuitState

if TYPE_CHECKING:
    import datetime

    from resilience import circuits

__all__ = ["CircuitBreaker", "CircuitState", "retry_with_backoff"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@overload
async def retry_with_backoff(
    func: Callable[[], Awaitable[T]],
    max_retries: int = ...,
    base_delay: float | datetime.timedelta = ...,
    max_delay: float | datetime.timedelta = ...,
    exponential_base: float = ...,
    jitter: bool = ...,
    retry_on: Classes = ...,
) -> T: ...


@overload
async def retry_with_backoff(
    func: Callable[[], T],
    max_retries: int = ...,
    base_delay: float | datetime.timedelta = ...,
    max_delay: float | datetime.timedelta = ...,
    exponential_base: float = ...,
    jitter: bool = ...,
    retry_on: Classes = ...,
) -> T: ...


async def retry_with_backoff(
    func: Callable[[], object],
    max_retries: int = 3,
    base_delay: float | datetime.timedelta = 1.0,
    max_delay: float | datetime.timedelta = 60.0,
    exponential_base: float = 2.0,
    jitter: bool = True,
    retry_on: Classes = (Exception,),
) -> object:
    """Call *func*, async or sync, and up to *max_retries* times more when it raises one of *retry_on*.

    Before retry n = 0, 1, ... waits ``min(base_delay * exponential_base ** n, max_delay)`` seconds, with *jitter* times
    a number in [0.5, 1). The last error is raised as it is, with what was tried in its notes; others at once.

    Raises ValueError or TypeError for a parameter that cannot be meant. What is no `Exception` is never retried.
    """
    a_call("func", func, "a function without arguments, such as lambda: plan(task)")
    attempts = parse_count("max_retries", max_retries, least=0) + 1
    formula = Formula(
        parse_duration("base_delay", base_delay, zero=True),
        parse_number("exponential_base", exponential_base, "a number of 0 or more", least=0.0),
        parse_duration("max_delay", max_delay, zero=True),
        require_bool("jitter", jitter),
    )
    expected = classes("retry_on", retry_on)
    return await retries(attempts, functools.partial(_is_one_of, expected), formula).acall(func)


def _is_one_of(expected: tuple[type[Exception], ...], error: Exception) -> bool:
    return isinstance(error, expected)


class CircuitBreaker:
    """Stop calling a dependency that fails *failure_threshold* times in a row; try it again *timeout* seconds later.

    Failures of *expected_exception*, a class or a tuple of classes, count, others pass. One call at a time probes a
    circuit that is half-open: its success closes it, and so does an error outside *expected_exception* by which the
    dependency refuses a request (its category is a CLIENT_ERROR); its failure opens it again; after any other error
    the next call probes.

    While it is open, calls raise `resilience.CircuitOpenError`, whose ``retry_after`` is what is left of *timeout*.
    Make one for each dependency, where all its callers find it. *name* is what errors, events and logs call it: unless
    given, what is called first.

    >>> import anyio
    >>> breaker = CircuitBreaker(failure_threshold=1, name="planner")
    >>> anyio.run(breaker.call, len, "plan"), breaker.state
    (4, <CircuitState.CLOSED: 'closed'>)
    """

    def __init__(
        self,
        failure_threshold: int = 5,
        timeout: float | datetime.timedelta = 60,
        expected_exception: Classes = Exception,
        *,
        name: str | None = None,
    ) -> None:
        expected = classes("expected_exception", expected_exception)
        threshold = parse_count("failure_threshold", failure_threshold)
        self._breaker = ClassBreaker(name, threshold, parse_duration("timeout", timeout), expected)
        self._expected_exception = expected_exception

    @overload
    async def call(self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    async def call(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    async def call(self, func: Callable[..., object], /, *args: object, **kwargs: object) -> object:
        """Call *func*, async or sync, unless the circuit is open. What it raises is raised as it is."""
        a_call("func", func, "a function, and its arguments after it")
        return await self._breaker.acall(func, *args, **kwargs)

    @property
    def circuit(self) -> circuits.CircuitBreaker:
        """The toolkit's own circuit underneath: opened and closed by hand, isolated, subscribed to."""
        return self._breaker

    @property
    def state(self) -> CircuitState:
        """The present state; an open circuit is half-open from the call on that comes when its time is over."""
        return self._breaker.circuit_state

    @property
    def failure_count(self) -> int:
        """Failures in a row, or those that opened the circuit."""
        return self._breaker.fail_counter

    @property
    def last_failure_time(self) -> datetime.datetime | None:
        """When an expected failure came last, in UTC; None before the first. Nothing is decided by it."""
        return self._breaker.last_failure_time

    @property
    def failure_threshold(self) -> int:
        """The failures in a row that open the circuit."""
        return self._breaker.fail_max

    @property
    def timeout(self) -> float:
        """Seconds until an open circuit lets a call through."""
        return self._breaker.reset_timeout

    @property
    def expected_exception(self) -> Classes:
        """What counts."""
        return self._expected_exception

    def __repr__(self) -> str:
        return repr(self._breaker)
