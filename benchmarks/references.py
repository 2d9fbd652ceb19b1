"""What one would write without any library: what ratios are taken of."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.terms import ATTEMPTS, DEFAULT, NEVER, Function, new_name

__all__ = [
    "PlainCircuit",
    "by_hand",
    "caught",
    "empty",
    "handed_over",
    "keeping_retry",
    "naive_retry",
    "nothing",
    "plain_limit",
    "raising",
]


def nothing(function: Function) -> Function:
    """Decorate not at all."""
    return function


def empty(function: Function) -> Function:
    """Decorate with nothing."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return async_wrapper

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def naive_retry(function: Function) -> Function:
    """Call again in a loop."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            for attempt in range(ATTEMPTS):
                try:
                    return await function(*args, **kwargs)
                except ConnectionError:
                    if attempt == ATTEMPTS - 1:
                        raise
            return None

        return async_wrapper

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for attempt in range(ATTEMPTS):
            try:
                return function(*args, **kwargs)
            except ConnectionError:
                if attempt == ATTEMPTS - 1:
                    raise
        return None

    return wrapper


class _Kept:
    """A failure, set aside to be looked at."""

    __slots__ = ("category", "error")

    def __init__(self, error: Exception, category: str) -> None:
        self.error = error
        self.category = category


_CATEGORIES: dict[type[Exception], str] = {ConnectionResetError: "network", ConnectionRefusedError: "network"}


def _wanted(kept: _Kept, attempt: int) -> bool:
    return kept.category == "network" and attempt < ATTEMPTS - 1


def keeping_retry(function: Function) -> Function:
    """Call again in a loop that keeps each error, looks its type up, and asks a function whether to go on.

    No more than that: no waits, no circuit, nobody to tell. On the event loop it lets the others run in between.
    """
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            for attempt in range(ATTEMPTS):
                try:
                    return await function(*args, **kwargs)
                except Exception as error:
                    kept = _Kept(error, _CATEGORIES[type(error)])
                if not _wanted(kept, attempt):
                    raise kept.error
                await asyncio.sleep(0)
            return None

        return async_wrapper

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for attempt in range(ATTEMPTS):
            try:
                return function(*args, **kwargs)
            except Exception as error:
                kept = _Kept(error, _CATEGORIES[type(error)])
            if not _wanted(kept, attempt):
                raise kept.error
        return None

    return wrapper


def by_hand(function: Function) -> Function:
    """Answer with a default when the call fails."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            try:
                return await function(*args, **kwargs)
            except Exception:
                return DEFAULT

        return async_wrapper

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception:
            return DEFAULT

    return wrapper


def raising(function: Function) -> Function:
    """Raise a plain exception, in its own frame and without calling *function*, where an open circuit would."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("open")

        return async_wrapper

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("open")

    return wrapper


def caught(function: Function) -> Function:
    """Raise a plain exception and answer with a default."""
    return by_hand(raising(function))


class PlainCircuit:
    """The least a circuit has to keep: a lock, a name, a state, a count and a time."""

    __slots__ = ("_failures", "_lock", "_name", "_opened_at", "_state")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._name = new_name()
        self._state = "closed"
        self._failures = 0
        self._opened_at = 0.0


_pool: ThreadPoolExecutor | None = None


def plain_limit(function: Function, seconds: float = NEVER) -> Function:
    """Limit the time with what the standard library has: a thread pool, or `asyncio.timeout`."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            async with asyncio.timeout(seconds):
                return await function(*args, **kwargs)

        return async_wrapper

    global _pool
    _pool = pool = _pool or ThreadPoolExecutor(max_workers=4)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return pool.submit(function, *args, **kwargs).result(seconds)

    return wrapper


def handed_over(function: Function) -> Function:
    """Have one other thread call the function, by two locks: the least that leaving a hung call behind takes."""
    ready, done = threading.Lock(), threading.Lock()
    ready.acquire()
    done.acquire()
    given: list[Any] = []

    def work() -> None:
        while True:
            ready.acquire()
            given.append(function(*given.pop()))
            done.release()

    threading.Thread(target=work, daemon=True).start()

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        given.append(args)
        ready.release()
        done.acquire(timeout=NEVER)
        return given.pop()

    return wrapper
