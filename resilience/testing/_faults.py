"""`Faults`: a test makes guarded functions fail and opens circuits, and all of it is taken back at the end.

A fault is injected below the policies: in place of the guarded function a stand-in is called, which raises the failures
that are planned, one for each attempt, and else calls the function. So retries, circuits and fallbacks do with it what
they do with a failure of the function itself. It holds in the whole process, in all threads and tasks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from resilience._runtime.callables import name_of
from resilience._runtime.decorate import Guarded
from resilience._runtime.protocol import Call, Effect
from resilience._safe_access import safe_getattr
from resilience._undo import Undo
from resilience._validation import parse_count
from resilience.categories import CategoryLike, combine
from resilience.errors import ResilienceError
from resilience.faults._injection import NextFailures, PlannedFailures, require_no_arguments
from resilience.faults._targets import guarded_function

if TYPE_CHECKING:
    from resilience.circuits import CircuitBreaker

__all__ = ["Faults"]

_FAILURES = "an exception, a class of exceptions, or the category of one, such as ConnectionResetError or 'network'"


class Faults(Undo):
    """Failures of guarded functions and open circuits, until this object is called or its ``with`` block is left.

    >>> from resilience import fallback, retry_on_category
    >>> @fallback(default="no price")
    ... @retry_on_category(attempts=2, base_delay=0)
    ... def price() -> str:
    ...     return "12.50"
    >>> with Faults() as faults:
    ...     faults.fail_next(price, "network")
    ...     price()
    '12.50'
    >>> with Faults() as faults:
    ...     faults.fail_next(price, ConnectionResetError("gone"), times=2)
    ...     price()
    'no price'
    """

    def __init__(self) -> None:
        self._planned: list[PlannedFailures] = []
        self._opened: dict[CircuitBreaker, None] = {}

    def fail_next(
        self,
        function: Callable[..., object],
        failure: Exception | type[Exception] | CategoryLike,
        *,
        times: int | None = 1,
    ) -> None:
        """Have the next attempts of a guarded *function* fail; what it does is not done then.

        *failure* is raised in its place: an exception, the same object each time; a class of exceptions, a new one each
        time; or a category or its label, as a `ResilienceError` of that category. *times* counts attempts, not calls: a
        retry makes several; None is all of them. Failures that are planned one after the other come in that order.

        Raises TypeError for a function that no policy guards, and for a class: give one of its methods. Raises
        TypeError or ValueError for another *failure*, and unless *times* is a whole number of 1 or more.
        """
        record = _guarded_function(function)
        count = math.inf
        if times is not None:
            count = parse_count("times", times)
        make = _factory_of(failure)
        failures = _QuietFailures(count, lambda _: make())
        self._planned.append(PlannedFailures(record.wrapper or function, failures, everywhere=True))

    def open(self, circuit: CircuitBreaker | str | Callable[..., object]) -> None:
        """Open a circuit, given as the object, by its name, or as a function or method that it guards.

        It rejects all calls and admits a probe after its *reset_timeout*, in virtual time where that is in force. At
        the end it is reset. Raises LookupError for a name that no circuit has, TypeError for a function that no circuit
        guards, and for a circuit per key or object: open the one that its `of` returns.
        """
        for breaker in _circuits_of(circuit):
            if breaker.scope is not None:
                raise TypeError(
                    f"circuit={breaker!r} has a circuit for each {breaker.scope}: give that of one, such as"
                    f" circuit.of({breaker.scope})"
                )
            self._opened[breaker] = None
            breaker.open()

    def __call__(self) -> None:
        """Take all faults back: functions work again, the opened circuits are reset. Doing it twice is fine."""
        while self._planned:
            self._planned.pop()()
        while self._opened:
            breaker, _ = self._opened.popitem()
            breaker.reset()


class _QuietFailures(NextFailures):
    """Failures without an event of their own: a test that plans them knows of them."""

    def _announce(self, call: Call) -> Generator[Effect, Any, None]:
        yield from ()


def _factory_of(failure: object) -> Callable[[], Exception]:
    """Return what makes the exceptions of a failure as `Faults.fail_next` takes it."""
    if isinstance(failure, Exception):
        return lambda: failure
    if isinstance(failure, type) and issubclass(failure, Exception):
        require_no_arguments(failure)
        return failure
    if isinstance(failure, type | BaseException):
        raise TypeError(f"failure={failure!r}: give {_FAILURES}")
    category = combine("failure", [failure])
    if not category.is_leaf:
        raise ValueError(f"failure={category.label!r}: give one leaf, such as {next(iter(category)).label!r}")
    return lambda: ResilienceError(f"{category.label}, injected by a test", category=category)


def _guarded_function(function: object) -> Guarded:
    if isinstance(function, type):
        raise TypeError(f"function={function!r}: give a method of it, such as {function.__qualname__}.get")
    return guarded_function(function, "function")


def _circuits_of(circuit: object) -> list[CircuitBreaker]:
    """Return the circuits that `Faults.open` is given. Raises LookupError or TypeError where there is none."""
    from resilience import circuits

    if isinstance(circuit, circuits.CircuitBreaker):
        return [circuit]
    if isinstance(circuit, str):
        return [circuits.get(circuit)]
    record = _guarded_function(circuit)
    owners = [safe_getattr(policy, "owner") for policy in record.policies]
    found = [owner for owner in owners if isinstance(owner, circuits.CircuitBreaker)]
    if not found:
        raise TypeError(f"circuit={circuit!r}: no circuit guards {name_of(record.function)}")
    return found
