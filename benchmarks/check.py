"""Checks of each candidate before it is measured: it has to behave as the case says, or it fails."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

from benchmarks.shapes import called
from benchmarks.subjects import Counted
from benchmarks.terms import ARGUMENT, ATTEMPTS, DEFAULT, SLOTS, THRESHOLD, Function, Wrap

__all__ = ["CheckFailedError", "check", "opened"]

_SHORT = 0.02
_LONG = 1.0
_FEW = 5


class CheckFailedError(Exception):
    """The candidate does not behave as the case says."""


def check(capability: str, shape: str, guard: Wrap) -> None:
    """Raise `CheckFailedError` unless functions of this *shape*, guarded by *guard*, behave as *capability* says."""
    for expectation in _EXPECTED[capability]:
        expectation(shape, guard)


def opened(shape: str, guard: Wrap) -> tuple[Function, Counted]:
    """Return a guarded function whose circuit is open, and the inner function."""
    subject = Counted(failures=-1)
    guarded = called(shape, guard, subject.function(shape))
    for _ in range(THRESHOLD * ATTEMPTS):
        _outcome(guarded)
    return guarded, subject


def _outcome(guarded: Function, *arguments: Any) -> Any:
    """Call it; return the value, or the error."""
    try:
        answer = guarded(*(arguments or (ARGUMENT,)))
        return asyncio.run(_awaited(answer)) if inspect.isawaitable(answer) else answer
    except Exception as error:
        return error.with_traceback(None)  # circuitbreaker keeps it, and the frames would keep everything else


async def _awaited(answer: Any) -> Any:
    return await answer


def _expect(subject: str, expected: object, actual: object) -> None:
    if actual != expected:
        raise CheckFailedError(f"{subject}: {actual!r} instead of {expected!r}")


def _succeeds(shape: str, guard: Wrap) -> None:
    subject = Counted()
    _expect("a call that succeeds answers", ARGUMENT, _outcome(called(shape, guard, subject.function(shape))))
    _expect("a call that succeeds calls", 1, subject.calls)


def _retries(shape: str, guard: Wrap) -> None:
    subject = Counted(failures=2)
    guarded = called(shape, guard, subject.function(shape))
    _expect("two failures, then success: answers", ARGUMENT, _outcome(guarded))
    _expect("two failures, then success: calls", ATTEMPTS, subject.calls)
    subject = Counted(failures=-1)
    _outcome(called(shape, guard, subject.function(shape)))
    _expect("failures without end: calls", ATTEMPTS, subject.calls)


def _trips(shape: str, guard: Wrap) -> None:
    subject = Counted(failures=-1)
    guarded = called(shape, guard, subject.function(shape))
    for _ in range(THRESHOLD - 1):
        _outcome(guarded)
    _expect("one failure short of the threshold: calls", THRESHOLD - 1, subject.calls)
    _outcome(guarded)
    _expect("at the threshold: calls", THRESHOLD, subject.calls)
    _outcome(guarded)
    _expect("an open circuit calls", THRESHOLD, subject.calls)


def _rejects(shape: str, guard: Wrap) -> None:
    guarded, subject = opened(shape, guard)
    calls, subject.failures = subject.calls, 0
    found = _outcome(guarded)
    _expect("an open circuit raises", True, isinstance(found, Exception))
    _expect("calls that an open circuit admits", calls, subject.calls)


def _rejects_with_default(shape: str, guard: Wrap) -> None:
    guarded, subject = opened(shape, guard)
    calls, subject.failures = subject.calls, 0
    _expect("an open circuit behind a fallback answers", DEFAULT, _outcome(guarded))
    _expect("calls that an open circuit admits", calls, subject.calls)


def _falls_back(shape: str, guard: Wrap) -> None:
    guarded = called(shape, guard, Counted(failures=-1).function(shape))
    _expect("a failing call answers", DEFAULT, _outcome(guarded))


def _limits(shape: str, guard: Wrap) -> None:
    found = _after_the_limit(shape, guard)
    _expect("a call beyond the limit raises", True, isinstance(found, Exception))


def _limits_with_default(shape: str, guard: Wrap) -> None:
    _expect("a call beyond the limit behind a fallback answers", DEFAULT, _after_the_limit(shape, guard))


def _after_the_limit(shape: str, guard: Wrap) -> Any:
    limit: Callable[..., Function] = guard  # it also takes the seconds

    def slow(value: Any) -> Any:
        time.sleep(_LONG)

    async def slow_async(value: Any) -> Any:
        await asyncio.sleep(_LONG)

    begin = time.perf_counter()
    found = _outcome(limit(slow_async if shape == "async" else slow, _SHORT))
    _expect("a call beyond the limit ends early", True, time.perf_counter() - begin < _LONG)
    return found


def _admits_as_many_as_it_has_slots(shape: str, guard: Wrap) -> None:
    deepest = 0

    def nested(depth: int) -> int:
        nonlocal deepest
        deepest = depth
        return depth + 1

    def sync(depth: int) -> Any:
        return guarded(nested(depth))

    async def asynchronous(depth: int) -> Any:
        return await guarded(nested(depth))

    def method(owner: object, depth: int) -> Any:
        return guarded(nested(depth))

    shapes: dict[str, Function] = {"sync": sync, "async": asynchronous, "method": method, "class": method}
    guarded = called(shape, guard, shapes[shape])
    for _ in range(2):  # the slots are given back
        found = _outcome(guarded, 1)
        _expect("one call too many raises", True, isinstance(found, Exception))
        _expect("calls in flight", SLOTS, deepest)


def _admits_as_many_as_the_rate(shape: str, guard: Wrap) -> None:
    limit: Callable[..., Function] = guard  # it also takes the calls per second
    subject = Counted()
    guarded = called(shape, lambda function: limit(function, _FEW), subject.function(shape))

    def one_too_many(value: Any) -> None:
        for _ in range(_FEW + 1):
            guarded(value)

    async def one_too_many_async(value: Any) -> None:  # in one loop: some limits are of the loop that they begin in
        for _ in range(_FEW + 1):
            await guarded(value)

    begin = time.perf_counter()
    refused = isinstance(_outcome(one_too_many_async if shape == "async" else one_too_many), Exception)
    waited = time.perf_counter() - begin > 1 / _FEW / 2
    _expect("calls that the rate admits at once", _FEW, subject.calls - (not refused))
    _expect("one call too many raises, or waits", True, refused or waited)


def _is_a_circuit(shape: str, circuit: Function) -> None:
    def guard(function: Function) -> Function:
        _, through = circuit()
        guarded: Function = through(function)
        return guarded

    check("breaker", shape, guard)


def _separates_keys(shape: str, keyed: Function) -> None:
    new_key, call = keyed()
    first, second = new_key(), new_key()
    failing, working = Counted(failures=-1), Counted()
    for _ in range(THRESHOLD + 1):
        _outcome(call, first, failing.function(shape))
    _expect("failures of one key: calls", THRESHOLD, failing.calls)
    _expect("another key answers", ARGUMENT, _outcome(call, second, working.function(shape)))
    _outcome(call, first, working.function(shape))
    _expect("calls that the open circuit of one key admits", 1, working.calls)


_EXPECTED: dict[str, tuple[Callable[[str, Wrap], None], ...]] = {
    "retry": (_succeeds, _retries),
    "breaker": (_succeeds, _trips, _rejects),
    "fleet_breaker": (_succeeds, _trips, _rejects),
    "fallback": (_succeeds, _falls_back),
    "fallback_breaker": (_succeeds, _rejects_with_default),
    "stack": (_succeeds, _retries, _falls_back, _rejects_with_default),
    "stack_with_chaos_off": (_succeeds, _retries, _falls_back, _rejects_with_default),
    "limit": (_succeeds, _limits),
    "full": (_succeeds, _retries, _falls_back, _rejects_with_default, _limits_with_default),
    "bulkhead": (_succeeds, _admits_as_many_as_it_has_slots),
    "adaptive_limit": (_succeeds, _admits_as_many_as_it_has_slots),
    "rate_limit": (_succeeds, _admits_as_many_as_the_rate),
    "circuit": (_is_a_circuit,),
    "keyed": (_separates_keys,),
}
