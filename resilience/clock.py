"""Time, waiting and chance as values that are handed in. Nothing else in the toolkit asks `time` or `random`."""

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

__all__ = ["SYSTEM", "Clock", "SystemClock", "TimeLimit", "Waitable", "current_clock", "in_task", "using_clock"]


class TimeLimit(Protocol):
    """An async time limit in force, from `Clock.limit`."""

    @property
    def expired(self) -> bool:
        """Whether this limit, and nobody else, ended the block."""
        ...


class Waitable(Protocol):
    """What a thread can wait for: a `threading.Event`, say."""

    def wait(self, timeout: float, /) -> bool:
        """Wait, at most *timeout* seconds; return whether it came."""
        ...


class Clock(Protocol):
    """What the toolkit asks of time. Seconds throughout."""

    def now(self) -> float:
        """Seconds on a clock that never steps back; only differences mean anything."""
        ...

    def wall(self) -> float:
        """Seconds since 1970, for the dates other machines send."""
        ...

    def random(self) -> float:
        """Return a number in [0, 1)."""
        ...

    def sleep(self, seconds: float, wake: Waitable | None = None) -> None:
        """Wait in this thread, or until *wake* is set."""
        ...

    def sleep_async(self, seconds: float) -> Awaitable[None]:
        """Wait in this task; always lets the others run, even for zero seconds."""
        ...

    def wait(self, begin: Callable[[], object], done: Waitable, seconds: float) -> bool:
        """Let the time run, *begin*, and wait in this thread for *done*; return whether it came within *seconds*."""
        ...

    def limit(self, seconds: float, *, shared: bool = True) -> AbstractContextManager[TimeLimit]:
        """Cancel the block, in this task, when it takes longer than *seconds*; *shared* where others take that long."""
        ...


class SystemClock:
    """The machine's own time."""

    __slots__ = ()

    now: staticmethod[[], float] = staticmethod(time.monotonic)
    wall: staticmethod[[], float] = staticmethod(time.time)
    random: staticmethod[[], float] = staticmethod(random.random)

    def sleep(self, seconds: float, wake: Waitable | None = None) -> None:
        if seconds <= 0 or (NO_WAITS.used and NO_WAITS.is_on()):
            return  # even sleep(0) is a system call and gives the processor away
        if wake is None:
            time.sleep(min(seconds, threading.TIMEOUT_MAX))
        else:
            wake.wait(min(seconds, threading.TIMEOUT_MAX))

    def sleep_async(self, seconds: float) -> Awaitable[None]:
        if NO_WAITS.used and NO_WAITS.is_on():
            seconds = 0
        asyncio = sys.modules.get("asyncio")  # who runs on it has imported it
        if asyncio is not None and in_task(asyncio):
            return cast("Awaitable[None]", asyncio.sleep(seconds))  # what anyio would come to
        import anyio

        return anyio.sleep(seconds)

    def wait(self, begin: Callable[[], object], done: Waitable, seconds: float) -> bool:
        begin()
        return done.wait(min(seconds, threading.TIMEOUT_MAX))

    def limit(self, seconds: float, *, shared: bool = True) -> AbstractContextManager[TimeLimit]:
        return _SystemTimeLimit(seconds, shared)


class _SystemTimeLimit:
    """The shared timer on asyncio, a cancel scope on trio."""

    __slots__ = ("_scope", "_seconds", "_shared", "_watch", "expired")

    def __init__(self, seconds: float, shared: bool) -> None:
        self._seconds = seconds
        self._shared = shared
        self.expired: bool = False

    def __enter__(self) -> _SystemTimeLimit:
        from resilience._asyncio_timeout import start_single, start_timeout

        # What is left of a deadline is a number of its own each time: not one to look for others of.
        self._watch = (start_timeout if self._shared else start_single)(self._seconds)
        if self._watch is None:
            import anyio

            self._scope = anyio.move_on_after(self._seconds)
            self._scope.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if self._watch is None:
            ended = self._scope.__exit__(kind, error, trace)
            self.expired = self._scope.cancelled_caught
            return ended
        from resilience._asyncio_timeout import finish_timeout

        self.expired = finish_timeout(self._watch, error)
        return self.expired


def in_task(asyncio: ModuleType) -> bool:
    """Return whether a task of *asyncio* runs here."""
    try:
        return asyncio.current_task() is not None  # None in a callback, where trio as a guest runs
    except RuntimeError:  # no loop
        return False


SYSTEM: Clock = SystemClock()
_clock: ContextVar[Clock] = ContextVar("resilience.clock", default=SYSTEM)

current_clock: Callable[[], Clock] = _clock.get
"""Return the clock in force here: the system's, unless a test put another one in this context."""


class using_clock:  # noqa: N801  # reads as a verb where it is used
    """Put *clock* in force in this context (this thread or task and what it starts) for a ``with`` block."""

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
