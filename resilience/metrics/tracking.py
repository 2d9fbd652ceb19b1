"""`track_errors`: the policy that counts and times calls, and raises what they raise.

The policy decides nothing. It adds each call to the statistics of its function (`resilience.metrics._call_stats`), from
where the exporters read them, and returns the outcome unchanged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast, overload

from resilience._forks import fork_safe
from resilience._outcome import Outcome
from resilience._runtime.callables import under_descriptor
from resilience._runtime.context_manager import Block
from resilience._runtime.decorate import guarded
from resilience._runtime.guard import guard, public_methods
from resilience._runtime.pipeline import Decorator
from resilience._runtime.protocol import PROCEED, Call, LatencyRecorder, Policy, Steps
from resilience._validation import require
from resilience.metrics._call_stats import CALL_STATS
from resilience.policies.retry_budget import RetryBudget

__all__ = ["BUDGETS", "TrackGuard", "Tracked", "check_component", "track_errors"]

F = TypeVar("F", bound="Callable[..., object] | classmethod[Any, ..., object]")


class Budgets:
    """The named retry budgets of tracked functions, which exporters report. Of one name it keeps the last budget."""

    def __init__(self) -> None:
        self._budgets: dict[str, RetryBudget] = {}
        self._lock = fork_safe(threading.Lock())

    def add(self, budget: RetryBudget) -> None:
        """Add *budget*, if it has a name."""
        if budget.name is not None:
            with self._lock:
                self._budgets[budget.name] = budget

    def __iter__(self) -> Iterator[RetryBudget]:
        with self._lock:
            return iter(list(self._budgets.values()))


BUDGETS = Budgets()


class Tracked(Policy):
    """Counts and times the inner call.

    On the fast path the wrapper of the function does both, for calls that succeed (`stopwatch`). A call that fails, and
    every call of a block, a stream or a foreign stack, goes through `run`.
    """

    fast_path = True
    supports_generators = True

    def __init__(self, component: str | None) -> None:
        self.component: str | None = component

    def stopwatch(self, target: str) -> LatencyRecorder:
        """Return the statistics that the wrapper of *target* adds to."""
        return CALL_STATS.for_target(target, self.component)

    def run(self, call: Call) -> Steps[Outcome]:
        """Record how the inner call ended and how long it took; a call that is closed at `Proceed` was cancelled."""
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
                stats = CALL_STATS.for_target(call.target, self.component)
                stats.cancelled(call.clock.now() - began, call.cut_off)
        if began is not None:
            self._record(call, outcome, call.clock.now() - began)
        return outcome

    def _record(self, call: Call, outcome: Outcome, took: float) -> None:
        stats = CALL_STATS.for_target(call.target, self.component)
        if outcome.error is None:
            stats.slow(took)
        else:
            stats.failed(outcome.error, took)

    def __str__(self) -> str:
        if self.component is None:
            return "track_errors()"
        return f"track_errors(component={self.component!r})"


class TrackGuard(Decorator, Block):
    """The decorator and context manager that `track_errors` returns."""

    __slots__ = ("_tracked",)

    def __init__(self, tracked: Tracked) -> None:
        self._tracked = tracked

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        """Return the policy for *target*. Raises TypeError where it is tracked already: each call would count twice."""
        if not isinstance(target, type) and _is_tracked(target):
            raise TypeError(
                f"{self!r} on {getattr(target, '__qualname__', target)!r}: it is tracked already, so each of its calls"
                " would be counted twice"
            )
        return (self._tracked,)

    def __call__(self, target: F, /) -> F:
        """Return *target* tracked. A class is changed in place; its methods that are tracked already stay as they are.

        Raises TypeError for a function that is tracked already.
        """
        if isinstance(target, type):
            return cast("F", self._track_class(cast("type[object]", target)))
        tracked = guard(target, *self.policies(target))
        _report_budgets(tracked)
        return tracked

    def _track_class(self, cls: type[object]) -> type[object]:
        """Track the public methods of a class in place."""
        methods = dict(public_methods(cls))
        guard(cls, self._tracked, exclude=[name for name in methods if _is_tracked(methods[name])])
        for name in methods:
            _report_budgets(vars(cls).get(name))
        return cls

    def _policy(self) -> Policy:
        return self._tracked

    def __repr__(self) -> str:
        return str(self._tracked)


def check_component(component: object, expected: str) -> None:
    """Raise TypeError or ValueError unless *component* is a name or None; *expected* says what would be right."""
    require(component is None or isinstance(component, str), "component", component, expected, TypeError)
    require(component != "", "component", component, expected)


def _policies_of(target: object) -> tuple[Policy, ...]:
    """Return the policies that guard a function; none where it is not guarded."""
    found = guarded(under_descriptor(target))
    if found is None:
        return ()
    return tuple(found.policies)


def _is_tracked(target: object) -> bool:
    return any(isinstance(policy, Tracked) for policy in _policies_of(target))


def _report_budgets(target: object) -> None:
    """Have the exporters report the retry budgets of a tracked function."""
    for policy in _policies_of(target):
        if isinstance(policy.success_counter, RetryBudget):
            BUDGETS.add(policy.success_counter)


@overload
def track_errors(function: F, /) -> F: ...


@overload
def track_errors(*, component: str | None = ...) -> TrackGuard: ...


def track_errors(function: object = None, /, *, component: str | None = None) -> object:
    """Count the calls of a function, how long they took and what they raised; raise it unchanged.

    Put it on top of the others: it then counts what callers get. What it counts, the exporters for Prometheus and
    OpenTelemetry in `resilience.integrations` show: calls and durations by the function's qualified name, errors by
    their code, category and *component*, which is the first word of the function's module unless given. Nothing of a
    call's arguments, results or messages is kept. Cancellation and Ctrl-C count as ``cancelled``, not as errors.

    Functions sync and async, generators (from the first item asked for to the end), methods, whole classes, and
    ``with`` blocks. Raises TypeError on what is tracked already.

    >>> from resilience.metrics._call_stats import CALL_STATS
    >>> @track_errors(component="billing")
    ... def charge(amount):
    ...     if amount < 0:
    ...         raise ValueError(amount)
    >>> charge(1)
    >>> charge(-1)
    Traceback (most recent call last):
    ...
    ValueError: -1
    >>> totals = CALL_STATS.for_target(f"{__name__}.charge", "billing").totals()
    >>> totals.success.calls, totals.errors
    (1, {('ValueError', 'unknown'): 1})
    """
    check_component(component, "the name of a part of your program, such as 'billing'; or None")
    if isinstance(function, type) and issubclass(function, BaseException):
        raise TypeError(f"track_errors({function.__qualname__}): give what raises it; every error is counted")
    guard = TrackGuard(Tracked(component))
    if function is None:
        return guard
    return guard(cast("Callable[..., object]", function))
