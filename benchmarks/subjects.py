"""The functions that are guarded and called. Each is made anew, so that no two candidates share one."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.terms import ERROR, Function

__all__ = ["Counted", "answer", "async_answer", "async_flaky", "flaky", "method_answer", "waiting"]


def answer() -> Function:
    """Return a function that does nothing but answer."""

    def answer(value: Any) -> Any:
        return value

    return answer


def async_answer() -> Function:
    """Return a coroutine function that does nothing but answer."""

    async def answer(value: Any) -> Any:
        return value

    return answer


def method_answer() -> Function:
    """Return a function to put into a class."""

    def answer(self: object, value: Any) -> Any:
        return value

    return answer


def flaky() -> Function:
    """Return a function whose every third call answers; the two before it fail."""
    calls = 0

    def flaky(value: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 3:
            raise ERROR
        return value

    return flaky


def async_flaky() -> Function:
    """Return a coroutine function whose every third call answers."""
    calls = 0

    async def flaky(value: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 3:
            raise ERROR
        return value

    return flaky


def waiting(seconds: float) -> Function:
    """Return a function that waits, as a call over the network does."""

    def waiting(value: Any) -> Any:
        time.sleep(seconds)
        return value

    return waiting


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
        """Return it as a plain function, a coroutine function, or one to put into a class."""

        def sync(value: Any) -> Any:
            return self._answer(value)

        async def asynchronous(value: Any) -> Any:
            return self._answer(value)

        def method(owner: object, value: Any) -> Any:
            return self._answer(value)

        shapes: dict[str, Function] = {"sync": sync, "async": asynchronous, "method": method}
        return shapes[shape]
