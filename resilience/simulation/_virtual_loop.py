"""An asyncio event loop in virtual time: its time jumps to the next moment at which anything happens.

Two kinds of things happen: the timers of asyncio, by which policies wait and limit, and the entries of the `Agenda`, by
which the model of the server and of the callers works. The agenda is a heap of plain tuples, several times as quick as
asyncio's timers, which matters: a simulated minute has some hundred thousand entries.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import random
import selectors
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from resilience.clock import SYSTEM, TimeLimit, Waitable

__all__ = ["Agenda", "VirtualLoop", "VirtualLoopClock", "global_random_seeded"]

_EPOCH = 946_684_800.0  # 2000-01-01T00:00:00Z, where `resilience.testing.virtual_time` begins, too


class Agenda:
    """What happens at which moment of virtual time, in the order of the moments, then of the entries."""

    __slots__ = ("_count", "heap")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Callable[[Any], object], Any]] = []
        self._count = itertools.count()

    def at(self, moment: float, function: Callable[[Any], object], argument: Any = None) -> None:
        """Call *function* with *argument* at that *moment*, in seconds."""
        heapq.heappush(self.heap, (moment, next(self._count), function, argument))


class _JumpingSelector(selectors.DefaultSelector):
    """Lets time jump instead of waiting. It selects no sockets: a simulation has none."""

    def __init__(self, agenda: Agenda) -> None:
        super().__init__()
        self.now: float = 0.0
        self._heap = agenda.heap

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let the next timer or the next entry of the agenda have its moment."""
        if timeout is not None and timeout <= 0:
            return []
        until = math.inf
        if timeout is not None:
            until = self.now + timeout
        heap = self._heap
        if heap and heap[0][0] <= until:
            moment, _, function, argument = heapq.heappop(heap)
            self.now = max(self.now, moment)
            function(argument)
        elif until == math.inf:
            raise RuntimeError("every task waits for another: the simulation would never end")
        else:
            self.now = until
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop that a simulation runs in. Its time begins at 0."""

    def __init__(self, agenda: Agenda) -> None:
        self._jumping = _JumpingSelector(agenda)
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._jumping.now


class VirtualLoopClock:
    """The toolkit's clock in a simulation: the time of its loop, and random numbers of its own."""

    __slots__ = ("_chance", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: random.Random) -> None:
        self._loop = loop
        self._chance = chance

    def now(self) -> float:
        """Return the virtual time in seconds."""
        return self._loop.time()

    def wall(self) -> float:
        """Return seconds since 1970, as if the simulation had begun on 2000-01-01T00:00:00Z."""
        return _EPOCH + self._loop.time()

    def random(self) -> float:
        """Return the next random number of the simulation's seed, in [0, 1)."""
        return self._chance.random()

    def sleep(self, seconds: float, wake: Waitable | None = None) -> None:
        """Do nothing: simulated calls are async, and only a hook of the user's can come here."""

    def sleep_async(self, seconds: float) -> Awaitable[None]:
        """Wait in this task for *seconds* of virtual time."""
        return asyncio.sleep(seconds)

    def run_and_wait(self, begin: Callable[[], object], done: Waitable, seconds: float) -> bool:
        """Call *begin*, and wait for *done* in real time."""
        return SYSTEM.run_and_wait(begin, done, seconds)

    def move_on_after(self, seconds: float, *, shared: bool = True) -> AbstractContextManager[TimeLimit]:
        """Return a block that is cancelled after *seconds*: by the loop's timers, whose time is virtual."""
        return SYSTEM.move_on_after(seconds, shared=shared)


@contextmanager
def global_random_seeded(seed: int) -> Generator[None]:
    """Seed the module `random` in the block, for waits of tenacity's, and put its state back afterwards."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
