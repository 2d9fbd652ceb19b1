"""`track_errors`: count and time what is called, and raise what it raises."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast, overload

from resilience._runtime.callables import under_descriptor
from resilience._runtime.context_manager import Block
from resilience._runtime.decorate import guarded
from resilience._runtime.guard import guard, public_methods
from resilience._runtime.pipeline import Decorator
from resilience._runtime.protocol import PROCEED, Call, LatencyRecorder, Policy, Steps
from resilience._validation import need
from resilience.metrics.records import RECORDS
from resilience.outcome import Outcome
from resilience.policies.retry_budget import RetryBudget

__all__ = ["BUDGETS", "TrackGuard", "Tracked", "track_errors"]

F = TypeVar("F", bound="Callable[..., object] | classmethod[Any, ..., object]")


class Budgets:
    """The retry budgets of tracked functions, by name; the last one of a name."""

    def __init__(self) -> None:
        self._budgets: dict[str, RetryBudget] = {}
        self._lock = threading.Lock()

    def add(self, budget: RetryBudget) -> None:
        """Note a budget that has a name."""
        if budget.name is not None:
            with self._lock:
                self._budgets[budget.name] = budget

    def __iter__(self) -> Iterator[RetryBudget]:
        with self._lock:
            return iter(list(self._budgets.values()))


BUDGETS = Budgets()


class Tracked(Policy):
    """Count and time what is inside."""

    fast_path = True
    supports_generators = True

    def __init__(self, component: str | None) -> None:
        self.component: str | None = component

    def stopwatch(self, target: str) -> LatencyRecorder:
        return RECORDS.of(target, self.component)

    def run(self, call: Call) -> Steps[Outcome]:
        admitted, began = call.admitted, None
        if not admitted:
            began = call.clock.now()
        ended = False
        try:
            outcome: Outcome = yield PROCEED
            ended = True
        finally:
            if admitted:  # the fast path says when it began, unless it has counted the call
                began = call.started_at
            if not ended and not call.withdrawn and began is not None:
                RECORDS.of(call.target, self.component).cancelled()
        if began is not None:
            took = call.clock.now() - began
            record = RECORDS.of(call.target, self.component)
            if outcome.error is None:
                record.slow(took)
            else:
                record.failed(outcome.error, took)
        return outcome

    def __str__(self) -> str:
        return "track_errors()" if self.component is None else f"track_errors(component={self.component!r})"


class TrackGuard(Decorator, Block):
    """What `track_errors` returns."""

    __slots__ = ("_tracked",)

    def __init__(self, tracked: Tracked) -> None:
        self._tracked = tracked

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        if not isinstance(target, type) and _is_tracked(target):
            raise TypeError(
                f"{self!r} on {getattr(target, '__qualname__', target)!r}: it is tracked already, so each of its calls"
                " would be counted twice"
            )
        return (self._tracked,)

    def __call__(self, target: F, /) -> F:
        """Return *target* tracked; a class is changed in place, but for methods that are tracked already."""
        if isinstance(target, type):
            cls = cast("type[object]", target)
            methods = dict(public_methods(cls))
            guard(cls, self._tracked, exclude=[name for name in methods if _is_tracked(methods[name])])
            for name in methods:
                _note_budgets(vars(cls).get(name))
            return cast("F", cls)
        tracked = guard(target, *self.policies(target))
        _note_budgets(tracked)
        return tracked

    def _policy(self) -> Policy:
        return self._tracked

    def __repr__(self) -> str:
        return str(self._tracked)


def _is_tracked(target: object) -> bool:
    found = guarded(under_descriptor(target))
    return found is not None and any(isinstance(policy, Tracked) for policy in found.policies)


def _note_budgets(target: object) -> None:
    found = guarded(under_descriptor(target))
    for policy in () if found is None else found.policies:
        if isinstance(policy.success_counter, RetryBudget):
            BUDGETS.add(policy.success_counter)


@overload
def track_errors(function: F, /) -> F: ...


@overload
def track_errors(*, component: str | None = ...) -> TrackGuard: ...


def track_errors(function: object = None, /, *, component: str | None = None) -> object:
    """Count the calls of a function, how long they took and what they raised; raise it unchanged.

    Put it on top of the others: it then counts what callers get. What it counts, `resilience.metrics.prometheus` and
    `resilience.metrics.opentelemetry` show: calls and durations by the function's qualified name, errors by their
    code, category and *component*, which is the first word of the function's module unless given. Nothing of a call's
    arguments, results or messages is kept. Cancellation and Ctrl-C count as ``cancelled``, not as errors.

    Functions sync and async, generators (from the first item asked for to the end), methods, whole classes, and
    ``with`` blocks. Raises TypeError on what is tracked already.

    >>> from resilience.metrics.records import RECORDS
    >>> @track_errors(component="billing")
    ... def charge(amount):
    ...     if amount < 0:
    ...         raise ValueError(amount)
    >>> charge(1)
    >>> charge(-1)
    Traceback (most recent call last):
    ...
    ValueError: -1
    >>> totals = RECORDS.of(f"{__name__}.charge", "billing").totals()
    >>> totals.success.calls, totals.errors
    (1, {('ValueError', 'unknown'): 1})
    """
    right = "the name of a part of your program, such as 'billing'; or None"
    need(component is None or isinstance(component, str), "component", component, right, TypeError)
    need(component != "", "component", component, right)
    if isinstance(function, type) and issubclass(function, BaseException):
        raise TypeError(f"track_errors({function.__qualname__}): give what raises it; every error is counted")
    guard = TrackGuard(Tracked(component))
    if function is None:
        return guard
    return guard(cast("Callable[..., object]", function))
