"""Before anything is timed: does the candidate do what the case says? One that does not is not measured."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

from benchmarks.subjects import Counted
from benchmarks.terms import ATTEMPTS, DEFAULT, THRESHOLD, Function, Wrap

__all__ = ["CheckFailedError", "check", "opened"]

_ARGUMENT = 7
_SHORT = 0.02
_LONG = 0.25


class CheckFailedError(Exception):
    """The candidate does something else than the case says."""


def check(capability: str, shape: str, guard: Wrap) -> None:
    """Raise CheckFailedError unless what *guard* makes does what *capability* says, for functions of this *shape*."""
    _succeeds(shape, guard)
    for expectation in _EXPECTED[capability]:
        expectation(shape, guard)


def opened(shape: str, guard: Wrap) -> tuple[Function, Counted]:
    """Return a guarded function whose circuit its failures have opened, and the function inside it."""
    subject = Counted(failures=-1)
    guarded = _bound(shape, guard, subject)
    for _ in range(THRESHOLD * ATTEMPTS):
        _outcome(guarded)
    return guarded, subject


def _bound(shape: str, guard: Wrap, subject: Counted) -> Function:
    guarded = guard(subject.function(shape))
    return bound(guarded) if shape == "method" else guarded


def bound(guarded: Function) -> Function:
    """Return *guarded* as the method of an object."""
    owner = type("Owner", (), {"method": guarded})()
    method: Function = owner.method
    return method


def _outcome(guarded: Function) -> Any:
    """Call it; return the value, or the error."""
    try:
        answer = guarded(_ARGUMENT)
        return asyncio.run(_awaited(answer)) if inspect.isawaitable(answer) else answer
    except Exception as error:
        return error


async def _awaited(answer: Any) -> Any:
    return await answer


def _expect(what: str, expected: object, found: object) -> None:
    if found != expected:
        raise CheckFailedError(f"{what}: {found!r} instead of {expected!r}")


def _succeeds(shape: str, guard: Wrap) -> None:
    subject = Counted()
    _expect("a call that succeeds answers", _ARGUMENT, _outcome(_bound(shape, guard, subject)))
    _expect("a call that succeeds calls", 1, subject.calls)


def _retries(shape: str, guard: Wrap) -> None:
    subject = Counted(failures=2)
    _expect("two failures, then success: answers", _ARGUMENT, _outcome(_bound(shape, guard, subject)))
    _expect("two failures, then success: calls", ATTEMPTS, subject.calls)
    subject = Counted(failures=-1)
    _outcome(_bound(shape, guard, subject))
    _expect("failures without end: calls", ATTEMPTS, subject.calls)


def _trips(shape: str, guard: Wrap) -> None:
    subject = Counted(failures=-1)
    guarded = _bound(shape, guard, subject)
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
    _expect("an open circuit lets pass", calls, subject.calls)


def _rejects_with_default(shape: str, guard: Wrap) -> None:
    guarded, subject = opened(shape, guard)
    calls, subject.failures = subject.calls, 0
    _expect("an open circuit behind a fallback answers", DEFAULT, _outcome(guarded))
    _expect("an open circuit lets pass", calls, subject.calls)


def _falls_back(shape: str, guard: Wrap) -> None:
    _expect("a failing call answers", DEFAULT, _outcome(_bound(shape, guard, Counted(failures=-1))))


def _limits(shape: str, guard: Wrap) -> None:
    limit: Callable[..., Function] = guard  # it takes the seconds as well

    def slow(value: Any) -> Any:
        time.sleep(_LONG)

    async def slow_async(value: Any) -> Any:
        await asyncio.sleep(_LONG)

    begin = time.perf_counter()
    found = _outcome(limit(slow_async if shape == "async" else slow, _SHORT))
    _expect("a call beyond the limit raises", True, isinstance(found, Exception))
    _expect("a call beyond the limit ends early", True, time.perf_counter() - begin < _LONG)


_EXPECTED: dict[str, tuple[Callable[[str, Wrap], None], ...]] = {
    "retry": (_retries,),
    "breaker": (_trips, _rejects),
    "fallback": (_falls_back,),
    "fallback_breaker": (_rejects_with_default,),
    "stack": (_retries, _falls_back, _rejects_with_default),
    "limit": (_limits,),
}
