"""Time, waiting and chance as values that are handed in. Nothing else in the toolkit asks `time` or `random`."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Protocol

__all__ = ["Clock", "Limit", "SystemClock", "Waitable", "current_clock", "using_clock"]


class Limit(Protocol):
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

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Wait in this thread, or until *wake* is set."""
        ...

    async def sleep_async(self, seconds: float) -> None:
        """Wait in this task; always lets the others run, even for zero seconds."""
        ...

    def wait(self, begin: Callable[[], object], done: Waitable, seconds: float) -> bool:
        """Let the time run, *begin*, and wait in this thread for *done*; return whether it came within *seconds*."""
        ...

    def limit(self, seconds: float) -> AbstractContextManager[Limit]:
        """Cancel the block, in this task, when it takes longer than *seconds*."""
        ...


class SystemClock:
    """The machine's own time."""

    __slots__ = ()

    now: staticmethod[[], float] = staticmethod(time.monotonic)
    wall: staticmethod[[], float] = staticmethod(time.time)
    random: staticmethod[[], float] = staticmethod(random.random)

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        if seconds <= 0:
            return  # even sleep(0) is a system call and gives the processor away
        if wake is None:
            time.sleep(seconds)
        else:
            wake.wait(min(seconds, threading.TIMEOUT_MAX))

    async def sleep_async(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(seconds)

    def wait(self, begin: Callable[[], object], done: Waitable, seconds: float) -> bool:
        begin()
        return done.wait(min(seconds, threading.TIMEOUT_MAX))

    def limit(self, seconds: float) -> AbstractContextManager[Limit]:
        return _ScopeLimit(seconds)


class _ScopeLimit:
    """A cancel scope of anyio, which follows `asyncio.timeout` (uncancel and all) and is trio's own on trio."""

    __slots__ = ("_scope", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> _ScopeLimit:
        import anyio

        self._scope = anyio.move_on_after(self._seconds)
        self._scope.__enter__()
        return self

    def __exit__(self, *raised: object) -> bool | None:
        return self._scope.__exit__(*raised)  # type: ignore[arg-type]  # what `with` handed us

    @property
    def expired(self) -> bool:
        return self._scope.cancelled_caught


_SYSTEM = SystemClock()
_clock: ContextVar[Clock] = ContextVar("resilience.clock", default=_SYSTEM)

current_clock: Callable[[], Clock] = _clock.get
"""Return the clock in force here: the system's, unless a test put another one in this context."""


class using_clock:  # noqa: N801  # reads as a verb where it is used
    """Put *clock* in force in this context (this thread or task and what it starts) for a ``with`` block."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __enter__(self) -> Clock:
        self._token = _clock.set(self._clock)
        return self._clock

    def __exit__(self, *raised: object) -> None:
        _clock.reset(self._token)
