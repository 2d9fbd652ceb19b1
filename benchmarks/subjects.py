"""The functions that the candidates guard. Each is a new one: no two candidates share a function."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

from benchmarks.terms import ERROR, Function

__all__ = ["Counted", "of_shape", "of_signature", "waiting", "yielding"]


def of_shape(kind: str, shape: str) -> Function:
    """Return a new function of a *kind* (its behaviour) and a *shape* (how it is called)."""
    return _KINDS[kind]["method" if shape == "class" else shape]()


def _answer() -> Function:
    def answer(value: Any) -> Any:
        return value

    return answer


def _async_answer() -> Function:
    async def answer(value: Any) -> Any:
        return value

    return answer


def _method_answer() -> Function:
    def answer(self: object, value: Any) -> Any:
        return value

    return answer


def _open_answer() -> Function:
    def answer(*args: Any, **kwargs: Any) -> Any:
        return args[0]

    return answer


def _async_open_answer() -> Function:
    async def answer(*args: Any, **kwargs: Any) -> Any:
        return args[0]

    return answer


def _flaky() -> Function:
    calls = 0

    def flaky(value: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 3:
            raise ERROR
        return value

    return flaky


def _async_flaky() -> Function:
    calls = 0

    async def flaky(value: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 3:
            raise ERROR
        return value

    return flaky


def yielding(times: int) -> Function:
    """Return a coroutine function that yields to the event loop *times* times."""

    async def answer(value: Any) -> Any:
        for _ in range(times):
            await asyncio.sleep(0)
        return value

    return answer


def waiting(seconds: float) -> Function:
    """Return a function that sleeps for *seconds*, as a call over the network waits."""

    def waiting(value: Any) -> Any:
        time.sleep(seconds)
        return value

    return waiting


#: answer: returns its argument. open: the same, with the signature `*args, **kwargs`. flaky: every third call succeeds.
#: yielding: yields to the event loop once, as every call that waits does.
_KINDS: dict[str, dict[str, Callable[[], Function]]] = {
    "answer": {"sync": _answer, "async": _async_answer, "method": _method_answer},
    "open": {"sync": _open_answer, "async": _async_open_answer},
    "flaky": {"sync": _flaky, "async": _async_flaky},
    "yielding": {"async": lambda: yielding(1)},
}

_signatures = itertools.count(1)


def of_signature() -> Function:
    """Return a function with a signature of its own: no other has a parameter of that name."""
    scope: dict[str, Function] = {}
    name = f"value_{next(_signatures)}"
    exec(f"def answer({name}):\n    return {name}", scope)
    return scope["answer"]


class Counted:
    """A function that counts its calls and fails in the first *failures* of them (-1: always)."""

    def __init__(self, failures: int = 0) -> None:
        self.calls = 0
        self.failures = failures

    def _answer(self, value: Any) -> Any:
        self.calls += 1
        if self.failures < 0 or self.calls <= self.failures:
            raise ERROR
        return value

    def function(self, shape: str) -> Function:
        """Return it as a plain function, a coroutine function, or a method."""

        def sync(value: Any) -> Any:
            return self._answer(value)

        async def asynchronous(value: Any) -> Any:
            return self._answer(value)

        def method(owner: object, value: Any) -> Any:
            return self._answer(value)

        shapes: dict[str, Function] = {"sync": sync, "async": asynchronous, "method": method, "class": method}
        return shapes[shape]
