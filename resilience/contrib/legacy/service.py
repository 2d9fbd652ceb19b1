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
from resilience.contrib.legacy._retry import ExactRetry, FixedBackoff
from resilience.contrib.legacy._validation import ExceptionClasses, parse_classes, require_call
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
    retry_on: ExceptionClasses = ...,
) -> T: ...


@overload
async def retry_with_backoff(
    func: Callable[[], T],
    max_retries: int = ...,
    base_delay: float | datetime.timedelta = ...,
    max_delay: float | datetime.timedelta = ...,
    exponential_base: float = ...,
    jitter: bool = ...,
    retry_on: ExceptionClasses = ...,
) -> T: ...


async def retry_with_backoff(
    func: Callable[[], object],
    max_retries: int = 3,
    base_delay: float | datetime.timedelta = 1.0,
    max_delay: float | datetime.timedelta = 60.0,
    exponential_base: float = 2.0,
    jitter: bool = True,
    retry_on: ExceptionClasses = (Exception,),
) -> object:
    """Call *func*, async or sync, and up to *max_retries* times more when it raises one of *retry_on*.

    Before retry n = 0, 1, ... waits ``min(base_delay * exponential_base ** n, max_delay)`` seconds, with *jitter* times
    a number in [0.5, 1). The last error is raised unchanged, with the attempts in its notes; an error of another class
    is raised at once.

    Raises ValueError or TypeError for an invalid parameter. An exception that is no `Exception` is never retried.
    """
    require_call("func", func, "a function without arguments, such as lambda: plan(task)")
    attempts = parse_count("max_retries", max_retries, least=0) + 1
    backoff = FixedBackoff(
        parse_duration("base_delay", base_delay, zero=True),
        parse_number("exponential_base", exponential_base, "a number of 0 or more", least=0.0),
        parse_duration("max_delay", max_delay, zero=True),
        require_bool("jitter", jitter),
    )
    is_retryable = functools.partial(_is_one_of, parse_classes("retry_on", retry_on))
    return await ExactRetry(attempts, is_retryable, backoff).acall(func)


def _is_one_of(expected: tuple[type[Exception], ...], error: Exception) -> bool:
    return isinstance(error, expected)


class CircuitBreaker:
    """Stop calling a dependency that fails *failure_threshold* times in a row; probe it *timeout* seconds later.

    Errors of *expected_exception*, a class or a tuple of classes, count as failures; other errors do not. A half-open
    circuit admits one probe at a time. The probe closes the circuit when it succeeds, and when it raises an error
    outside *expected_exception* by which the dependency refuses the request (its category is a CLIENT_ERROR). A probe
    that fails opens the circuit again. After any other error the next call is the probe.

    While the circuit is open, calls raise `resilience.CircuitOpenError`; its ``retry_after`` is the rest of *timeout*.
    Make one object for each dependency and share it among all callers. *name* is the name of the circuit in errors,
    events and logs; unless given, that of the function that is called first.

    >>> import anyio
    >>> breaker = CircuitBreaker(failure_threshold=1, name="planner")
    >>> anyio.run(breaker.call, len, "plan"), breaker.state
    (4, <CircuitState.CLOSED: 'closed'>)
    """

    def __init__(
        self,
        failure_threshold: int = 5,
        timeout: float | datetime.timedelta = 60,
        expected_exception: ExceptionClasses = Exception,
        *,
        name: str | None = None,
    ) -> None:
        expected = parse_classes("expected_exception", expected_exception)
        threshold = parse_count("failure_threshold", failure_threshold)
        self._breaker = ClassBreaker(name, threshold, parse_duration("timeout", timeout), expected)
        self._expected_exception = expected_exception

    @overload
    async def call(self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    async def call(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    async def call(self, func: Callable[..., object], /, *args: object, **kwargs: object) -> object:
        """Call *func*, async or sync, unless the circuit is open. Its error is raised unchanged."""
        require_call("func", func, "a function, and its arguments after it")
        return await self._breaker.acall(func, *args, **kwargs)

    @property
    def circuit(self) -> circuits.CircuitBreaker:
        """The toolkit's circuit that does the work. Use it to open, close or isolate the circuit by hand."""
        return self._breaker

    @property
    def state(self) -> CircuitState:
        """The present state. An open circuit becomes half-open with the first call after its *timeout*."""
        return self._breaker.circuit_state

    @property
    def failure_count(self) -> int:
        """The number of failures in a row, or of those that opened the circuit."""
        return self._breaker.fail_counter

    @property
    def last_failure_time(self) -> datetime.datetime | None:
        """The time of the last failure that counted, in UTC; None before the first. For display only."""
        return self._breaker.last_failure_time

    @property
    def failure_threshold(self) -> int:
        """The failures in a row that open the circuit."""
        return self._breaker.fail_max

    @property
    def timeout(self) -> float:
        """Seconds until an open circuit admits a probe."""
        return self._breaker.reset_timeout

    @property
    def expected_exception(self) -> ExceptionClasses:
        """The exception classes that count as failures."""
        return self._expected_exception

    def __repr__(self) -> str:
        return repr(self._breaker)
