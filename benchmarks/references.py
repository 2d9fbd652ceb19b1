"""References of the ratios: the same written without a library."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.terms import ATTEMPTS, DEFAULT, NEVER, RATE, SLOTS, Function, new_name

__all__ = [
    "PlainCircuit",
    "by_hand",
    "caught",
    "counter",
    "empty",
    "gcra",
    "in_other_thread",
    "classifying_retry",
    "naive_retry",
    "nothing",
    "plain_limit",
    "raising",
]


def nothing(function: Function) -> Function:
    """Return *function* undecorated."""
    return function


def empty(function: Function) -> Function:
    """Decorate with a wrapper that only calls *function*."""
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


class _Failure:
    """A failure with its category."""

    __slots__ = ("category", "error")

    def __init__(self, error: Exception, category: str) -> None:
        self.error = error
        self.category = category


_CATEGORIES: dict[type[Exception], str] = {ConnectionResetError: "network", ConnectionRefusedError: "network"}


def _is_retried(failure: _Failure, attempt: int) -> bool:
    return failure.category == "network" and attempt < ATTEMPTS - 1


def classifying_retry(function: Function) -> Function:
    """Call again in a loop that classifies each error and asks a function whether to retry.

    It has no waits, no circuit and no events. On the event loop it lets other tasks run between attempts.
    """
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            for attempt in range(ATTEMPTS):
                try:
                    return await function(*args, **kwargs)
                except Exception as error:
                    failure = _Failure(error, _CATEGORIES[type(error)])
                if not _is_retried(failure, attempt):
                    raise failure.error
                await asyncio.sleep(0)
            return None

        return async_wrapper

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for attempt in range(ATTEMPTS):
            try:
                return function(*args, **kwargs)
            except Exception as error:
                failure = _Failure(error, _CATEGORIES[type(error)])
            if not _is_retried(failure, attempt):
                raise failure.error
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
    """Raise a plain exception instead of calling *function*, as an open circuit does."""
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


def counter(function: Function) -> Function:
    """Count the calls in flight under a lock, and refuse one too many: the minimum of a bulkhead for threads."""
    lock = threading.Lock()
    free = SLOTS

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal free
            with lock:
                if not free:
                    raise RuntimeError("full")
                free -= 1
            try:
                return await function(*args, **kwargs)
            finally:
                with lock:
                    free += 1

        return async_wrapper

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal free
        with lock:
            if not free:
                raise RuntimeError("full")
            free -= 1
        try:
            return function(*args, **kwargs)
        finally:
            with lock:
                free += 1

    return wrapper


def gcra(function: Function) -> Function:
    """Move the time at which a bucket is full, under a lock: the minimum of a rate limit."""
    lock = threading.Lock()
    interval, slack = 1 / RATE, (RATE - 1) / RATE
    full_at = 0.0

    def take() -> None:
        nonlocal full_at
        now = time.monotonic()
        with lock:
            if full_at - now > slack:
                raise RuntimeError("too early")
            full_at = max(full_at, now)
            full_at += interval

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            take()
            return await function(*args, **kwargs)

        return async_wrapper

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        take()
        return function(*args, **kwargs)

    return wrapper


class PlainCircuit:
    """The minimum of a circuit: a lock, a name, a state, a count and a time."""

    __slots__ = ("_failures", "_lock", "_name", "_opened_at", "_state")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._name = new_name()
        self._state = "closed"
        self._failures = 0
        self._opened_at = 0.0


_pool: ThreadPoolExecutor | None = None


def plain_limit(function: Function, seconds: float = NEVER) -> Function:
    """Limit the time by the standard library: a thread pool, or `asyncio.timeout`."""
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


def in_other_thread(function: Function) -> Function:
    """Call the function in one other thread, by two locks: the minimum for leaving a hung call behind."""
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
