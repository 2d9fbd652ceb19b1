"""Settings of the process: policies switched off, and how many threads time limits may leave behind.

`disabled` is for tests, and a kill switch for incidents in which a policy itself is the problem.

>>> from resilience import retry_on_category, settings
>>> @retry_on_category(attempts=3)
... def down() -> None:
...     raise ConnectionRefusedError
>>> with settings.disabled():
...     down()
Traceback (most recent call last):
...
ConnectionRefusedError
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar

__all__ = [
    "ABANDONED_THREADS",
    "DISABLED",
    "NO_WAITS",
    "AbandonedThreads",
    "ContextSwitch",
    "SwitchedOff",
    "abandoned_threads",
    "disabled",
    "limit_abandoned_threads",
]


class ContextSwitch:
    """Something that is on in some contexts, or everywhere. Off costs a look at *used*."""

    __slots__ = ("_everywhere", "_here", "_lock", "told", "used")

    def __init__(self, name: str) -> None:
        #: How many blocks have it on, wherever; while there are none, nobody needs to look further.
        self.used: int = 0
        #: Called whenever it is turned on somewhere.
        self.told: list[Callable[[], object]] = []
        self._everywhere = 0
        #: How many blocks have it on in this context. Counted, since one block may be in use in many of them.
        self._here: ContextVar[int] = ContextVar(f"resilience.{name}", default=0)
        self._lock = threading.Lock()

    def is_on(self) -> bool:
        """Whether it is on here."""
        return self._everywhere > 0 or self._here.get() > 0

    def turn_on(self, everywhere: bool) -> None:
        """Turn it on in this context, or *everywhere*."""
        with self._lock:
            self.used += 1
            self._everywhere += everywhere
        for tell in self.told:
            tell()
        if not everywhere:
            self._here.set(self._here.get() + 1)

    def turn_back(self, everywhere: bool) -> None:
        """Undo what `turn_on` did."""
        if not everywhere:
            self._here.set(max(0, self._here.get() - 1))
        with self._lock:
            self.used -= 1
            self._everywhere -= everywhere


DISABLED = ContextSwitch("disabled")
NO_WAITS = ContextSwitch("no_waits")


class SwitchedOff:
    """A ``with`` block in which a switch is on."""

    __slots__ = ("_everywhere", "_switch")

    def __init__(self, switch: ContextSwitch, everywhere: bool) -> None:
        if not isinstance(everywhere, bool):
            raise TypeError(f"everywhere={everywhere!r}: give True or False")
        self._switch = switch
        self._everywhere = everywhere

    def __enter__(self) -> None:
        self._switch.turn_on(self._everywhere)

    def __exit__(self, *raised: object) -> None:
        self._switch.turn_back(self._everywhere)


def disabled(*, everywhere: bool = False) -> SwitchedOff:
    """Have guarded functions do in a ``with`` block what they would without decorators.

    No retry, no circuit, no limit, no deadline, no fallback, no event: a call reaches the function once, and its error
    reaches the caller as it is. In this context (this task and those it starts, this thread), or *everywhere* in the
    process. Calls that are under way stay as they are.
    """
    return SwitchedOff(DISABLED, everywhere)


class AbandonedThreads:
    """The threads that callers have left when a time limit passed: those that run, and how many there may be."""

    __slots__ = ("limit", "running")

    def __init__(self, limit: int) -> None:
        #: With so many *running*, a further sync call under a time limit is refused.
        self.limit: int = limit
        self.running: set[object] = set()


ABANDONED_THREADS = AbandonedThreads(64)
"""64 is more than the 40 threads of an anyio or FastAPI service can leave behind at once, and far from where a
container ends (1024 processes and threads on some platforms; 8 MB of address space for each)."""


def abandoned_threads() -> int:
    """Return how many calls of this process still run in a thread although their callers have left: worth a gauge."""
    return len(ABANDONED_THREADS.running)


def limit_abandoned_threads(number: int) -> int:
    """Allow *number* threads that callers have left, 64 by default, and return how many were allowed before.

    With that many, a sync call under a time limit is not made: it raises `TooManyAbandonedError`. This holds for the
    whole process, from the next call on. Raises TypeError or ValueError for anything but a whole number of 1 or more.

    >>> limit_abandoned_threads(256)
    64
    >>> limit_abandoned_threads(64)
    256
    """
    right = "a whole number of 1 or more"
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"number={number!r}: give {right}")
    if number < 1:
        raise ValueError(f"number={number!r}: give {right}")
    before, ABANDONED_THREADS.limit = ABANDONED_THREADS.limit, number
    return before
