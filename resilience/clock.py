"""Clocks: the one source of time, waiting and random numbers.

No other module of the toolkit calls `time` or `random`. A policy asks `current_clock`, so that a test can put a virtual
clock in force (`resilience.testing.virtual_time`) and every wait, limit and jitter follows it.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import ModuleType, TracebackType
from typing import Protocol, cast

from resilience.settings import NO_WAITS

__all__ = [
    "SYSTEM",
    "Clock",
    "SystemClock",
    "TimeLimit",
    "Waitable",
    "current_clock",
    "in_task",
    "private_random",
    "seeded_random",
    "using_clock",
]


class TimeLimit(Protocol):
    """An async time limit in force, from `Clock.move_on_after`."""

    @property
    def expired(self) -> bool:
        """Whether this limit, and nothing else, ended the block."""
        ...

    @property
    def passed(self) -> bool:
        """Whether its time has passed, while the block may still be ending."""
        ...


class Waitable(Protocol):
    """An object that a thread can wait for, such as a `threading.Event`."""

    def wait(self, timeout: float, /) -> bool:
        """Wait for at most *timeout* seconds; return whether the event came."""
        ...


class Clock(Protocol):
    """The interface of a clock. Durations are seconds."""

    def now(self) -> float:
        """Return seconds that never step back; only differences have a meaning."""
        ...

    def wall(self) -> float:
        """Return seconds since 1970, to compare with dates that servers send."""
        ...

    def random(self) -> float:
        """Return a number in [0, 1)."""
        ...

    def sleep(self, seconds: float, wake: Waitable | None = None) -> None:
        """Wait in this thread for *seconds*, or until *wake* is set."""
        ...

    def sleep_async(self, seconds: float) -> Awaitable[None]:
        """Wait in this task for *seconds*; even with 0 other tasks get to run."""
        ...

    def run_and_wait(self, begin: Callable[[], object], done: Waitable, seconds: float) -> bool:
        """Call *begin*, then wait in this thread for *done*; return whether it came within *seconds* of the call."""
        ...

    def move_on_after(self, seconds: float, *, shared: bool = True) -> AbstractContextManager[TimeLimit]:
        """Return a block of this task that is cancelled when it takes longer than *seconds*.

        *shared* says that other blocks have limits of the same length; they share a timer.
        """
        ...


class SystemClock:
    """The clock of the machine."""

    __slots__ = ()

    now: staticmethod[[], float] = staticmethod(time.monotonic)
    random: staticmethod[[], float] = staticmethod(random.random)

    def wall(self) -> float:
        return time.time()  # looked up at each call: freezegun replaces it

    def sleep(self, seconds: float, wake: Waitable | None = None) -> None:
        if seconds <= 0 or (NO_WAITS.active_count and NO_WAITS.is_on()):
            return  # even sleep(0) is a system call, and yields the processor
        if wake is None:
            time.sleep(min(seconds, threading.TIMEOUT_MAX))
        else:
            wake.wait(min(seconds, threading.TIMEOUT_MAX))

    def sleep_async(self, seconds: float) -> Awaitable[None]:
        if NO_WAITS.active_count and NO_WAITS.is_on():
            seconds = 0
        asyncio = sys.modules.get("asyncio")  # a program that runs on it has imported it
        if asyncio is not None and in_task(asyncio):
            return cast("Awaitable[None]", asyncio.sleep(seconds))  # what anyio would call
        import anyio

        return anyio.sleep(seconds)

    def run_and_wait(self, begin: Callable[[], object], done: Waitable, seconds: float) -> bool:
        begin()
        return done.wait(min(seconds, threading.TIMEOUT_MAX))

    def move_on_after(self, seconds: float, *, shared: bool = True) -> AbstractContextManager[TimeLimit]:
        return _SystemTimeLimit(seconds, shared)


class _SystemTimeLimit:
    """The shared timer on asyncio, a cancel scope on trio."""

    __slots__ = ("_entry", "_scope", "_seconds", "_shared", "expired")

    def __init__(self, seconds: float, shared: bool) -> None:
        self._seconds = seconds
        self._shared = shared
        self.expired: bool = False

    def __enter__(self) -> _SystemTimeLimit:
        from resilience._asyncio_timeout import start_single, start_timeout

        if self._shared:
            self._entry = start_timeout(self._seconds)
        else:  # the rest of a deadline is another number each time
            self._entry = start_single(self._seconds)
        if self._entry is None:  # no task of asyncio
            import anyio

            self._scope = anyio.move_on_after(self._seconds)
            self._scope.__enter__()
        return self

    @property
    def passed(self) -> bool:
        if self._entry is None:
            return self._scope.cancel_called
        return self._entry.table is None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if self._entry is None:
            ended = self._scope.__exit__(kind, error, trace)
            self.expired = self._scope.cancelled_caught
            return ended
        from resilience._asyncio_timeout import finish_timeout

        self.expired = finish_timeout(self._entry, error)
        return self.expired


def in_task(asyncio: ModuleType) -> bool:
    """Return whether the running code belongs to a task of *asyncio*."""
    try:
        return asyncio.current_task() is not None  # None in a callback, where trio as a guest runs
    except RuntimeError:  # no loop
        return False


def private_random() -> Callable[[], float]:
    """Return a source of random numbers in [0, 1) for one background thread.

    The numbers of the module `random` are the program's: one that has seeded it draws the same ones whether a thread of
    the toolkit runs or not.
    """
    return random.Random().random


def seeded_random(seed: int) -> Callable[[], float]:
    """Return a source of random numbers in [0, 1) that are the same for each run of a program.

    >>> draw, again = seeded_random(7), seeded_random(7)
    >>> [draw(), draw()] == [again(), again()]
    True
    """
    return random.Random(seed).random


SYSTEM: Clock = SystemClock()
_clock: ContextVar[Clock] = ContextVar("resilience.clock", default=SYSTEM)

current_clock: Callable[[], Clock] = _clock.get
"""Return the clock of this context: the system's, unless a test has put another one in force."""


class using_clock:  # noqa: N801  # reads as a verb where it is used
    """Put *clock* in force in a ``with`` block, in this context: this thread or task and those it starts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __enter__(self) -> Clock:
        from resilience._deadline_context import current_deadline_unshielded, push_deadline

        self._token = _clock.set(self._clock)
        self._due = push_deadline(current_deadline_unshielded(self._clock))
        return self._clock

    def __exit__(self, *raised: object) -> None:
        from resilience._deadline_context import pop_deadline

        pop_deadline(self._due)
        _clock.reset(self._token)
