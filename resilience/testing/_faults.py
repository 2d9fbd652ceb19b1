"""`Faults`: a test makes guarded functions fail and opens circuits, and all of it is taken back at the end.

A fault is injected below the policies: in place of the guarded function a stand-in is called, which raises the failures
that are planned, one for each attempt, and else calls the function. So retries, circuits and fallbacks do with it what
they do with a failure of the function itself. It holds in the whole process, in all threads and tasks.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import weakref
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import TYPE_CHECKING, ClassVar, cast

from resilience._forks import fork_safe
from resilience._runtime.callables import name_of, under_descriptor
from resilience._runtime.decorate import Guarded, guarded
from resilience._runtime.fast_path import substitute
from resilience._safe_access import safe_getattr
from resilience._undo import Undo
from resilience._validation import parse_count
from resilience.categories import CategoryLike, combine
from resilience.errors import ResilienceError

if TYPE_CHECKING:
    from resilience.circuits import CircuitBreaker

__all__ = ["Faults"]

_FAILURES = "an exception, a class of exceptions, or the category of one, such as ConnectionResetError or 'network'"
_MAX_DEPTH = 100


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
        self._failing: dict[_FailingFunction, None] = {}
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
        wrapper, _ = _guarded_function(function)
        count = math.inf
        if times is not None:
            count = parse_count("times", times)
        failing = _FailingFunction.of(wrapper)
        failing.plan(_Planned(self, _factory_of(failure), count), wrapper)
        self._failing[failing] = None

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
        while self._failing:
            failing, _ = self._failing.popitem()
            failing.drop_plans_of(self)
        while self._opened:
            breaker, _ = self._opened.popitem()
            breaker.reset()


@dataclasses.dataclass(eq=False)
class _Planned:
    """A failure that *owner* has planned for *left* attempts."""

    owner: Faults
    make: Callable[[], Exception]
    left: float


class _FailingFunction:
    """The failures planned for one guarded function, by all `Faults` of the process, and its stand-in.

    The stand-in is called in place of the function while failures are planned, used up or not.
    """

    _lock = fork_safe(threading.Lock())
    _known: ClassVar[weakref.WeakKeyDictionary[FunctionType, _FailingFunction]] = weakref.WeakKeyDictionary()

    def __init__(self) -> None:
        self._planned: list[_Planned] = []
        self._restore: Callable[[], None] | None = None

    @classmethod
    def of(cls, wrapper: FunctionType) -> _FailingFunction:
        """Return the one of a guarded function."""
        with cls._lock:
            return cls._known.setdefault(wrapper, cls())

    def plan(self, planned: _Planned, wrapper: FunctionType) -> None:
        """Add a failure of *wrapper*, after those that are planned already."""
        with self._lock:
            self._planned.append(planned)
            if self._restore is None:
                self._restore = substitute(wrapper, self._stand_in)

    def drop_plans_of(self, owner: Faults) -> None:
        """Drop the failures that *owner* has planned. Without any, the function is called itself again."""
        with self._lock:
            self._planned = [planned for planned in self._planned if planned.owner is not owner]
            if not self._planned and self._restore is not None:
                self._restore()
                self._restore = None

    def _stand_in(self, function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            planned = self._take()
            if planned is not None:
                raise planned.make()
            return function(*args, **kwargs)

        return call

    def _take(self) -> _Planned | None:
        """Return the failure of this attempt; None where it does not fail."""
        with self._lock:
            planned = next((planned for planned in self._planned if planned.left > 0), None)
            if planned is not None:
                planned.left -= 1
            return planned


def _factory_of(failure: object) -> Callable[[], Exception]:
    """Return what makes the exceptions of a failure as `Faults.fail_next` takes it."""
    if isinstance(failure, Exception):
        return lambda: failure
    if isinstance(failure, type) and issubclass(failure, Exception):
        return _without_arguments(failure)
    if isinstance(failure, type | BaseException):
        raise TypeError(f"failure={failure!r}: give {_FAILURES}")
    category = combine("failure", [failure])
    if not category.is_leaf:
        raise ValueError(f"failure={category.label!r}: give one leaf, such as {next(iter(category)).label!r}")
    return lambda: ResilienceError(f"{category.label}, injected by a test", category=category)


def _without_arguments(kind: type[Exception]) -> type[Exception]:
    """Return a class of exceptions. Raises TypeError for one that cannot be called without arguments."""
    try:
        kind()
    except TypeError as error:
        raise TypeError(f"failure={kind!r}: it takes arguments; give an exception of that class") from error
    return kind


def _guarded_function(function: object) -> tuple[FunctionType, Guarded]:
    """Return a guarded function and its record; of a function around one, such as a cache, the one that it wraps."""
    if isinstance(function, type):
        raise TypeError(f"function={function!r}: give a method of it, such as {function.__qualname__}.get")
    for each in _wrapped_functions(function):
        record = guarded(each)
        if record is not None:
            return cast("FunctionType", getattr(each, "__func__", each)), record
    raise TypeError(f"function={function!r}: give a function that a policy guards; monkeypatch replaces any other")


def _wrapped_functions(function: object) -> Iterator[object]:
    """Yield *function*, and what it wraps."""
    inner = under_descriptor(function)
    for _ in range(_MAX_DEPTH):
        if inner is None:
            return
        yield inner
        inner = safe_getattr(inner, "__wrapped__")


def _circuits_of(circuit: object) -> list[CircuitBreaker]:
    """Return the circuits that `Faults.open` is given. Raises LookupError or TypeError where there is none."""
    from resilience import circuits

    if isinstance(circuit, circuits.CircuitBreaker):
        return [circuit]
    if isinstance(circuit, str):
        return [circuits.get(circuit)]
    _, record = _guarded_function(circuit)
    owners = [safe_getattr(policy, "owner") for policy in record.policies]
    found = [owner for owner in owners if isinstance(owner, circuits.CircuitBreaker)]
    if not found:
        raise TypeError(f"circuit={circuit!r}: no circuit guards {name_of(record.function)}")
    return found
