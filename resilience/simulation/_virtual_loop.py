"""An asyncio event loop in virtual time: its time jumps to the next moment at which anything happens.

One heap has all that is to happen: the timers of asyncio, by which policies wait and limit, and the entries by which
the server and the callers are simulated. It is a heap of plain tuples, and an entry of the simulation costs no handle:
a simulated minute has some hundred thousand of them.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import random
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, TypeVar

from resilience._asyncio_timeout import TimeoutEntry, enter_table, expire_entry, finish_timeout
from resilience.clock import SYSTEM, TimeLimit, Waitable, _clock

__all__ = ["VirtualLoop", "VirtualLoopClock", "in_own_context", "run_virtually"]

T = TypeVar("T")

_EPOCH = 946_684_800.0  # 2000-01-01T00:00:00Z, where `resilience.testing.virtual_time` begins, too


class _Timer(asyncio.TimerHandle):
    """A timer that is left in the heap when it is cancelled, and passed over when its moment comes."""

    __slots__ = ()

    def cancel(self) -> None:
        """Cancel it; the loop need not know."""
        self._cancelled: bool = True
        self._callback: Any = None  # no reference to what would have been called
        self._args: Any = None


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop that a simulation runs in. Its time begins at 0, and it knows no sockets.

    It replaces asyncio's way of waiting, and leaves tasks, futures and handles as they are.

    Time stands still while anything is ready to run, and then jumps to the next entry of the agenda. Entries of one
    moment run in the order in which they were made, so a run is deterministic. An empty agenda while tasks wait is a
    deadlock, and raises RuntimeError in place of waiting for ever. One thread uses a loop.
    """

    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        super().__init__()
        #: The virtual time in seconds; `time` returns the same.
        self.now: float = 0.0
        #: The limits in force, of all tasks.
        self.limits: dict[TimeoutEntry, None] = {}
        self._count = itertools.count()
        self._agenda: list[tuple[float, int, Callable[[Any], object], Any]] = []

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self.now

    def at(self, moment: float, function: Callable[[Any], object], argument: Any = None) -> None:
        """Call *function* with *argument* at that *moment*, in seconds; of one moment in the order of these calls."""
        heapq.heappush(self._agenda, (moment, next(self._count), function, argument))

    def clear(self) -> None:
        """Forget all that is to happen."""
        self._agenda.clear()

    # -- in place of asyncio's ----------------------------------------------------------------------------------------

    def call_at(  # type: ignore[override]  # typeshed has a variadic type of the arguments
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Have *callback* called at that moment, as asyncio does."""
        timer = _Timer(when, callback, args, self, context)
        self.at(when, self._ready.append, timer)
        return timer

    def call_soon(  # type: ignore[override]  # typeshed has a variadic type of the arguments
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Have *callback* called before time goes on, as asyncio does, without its checks for debugging."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def _run_once(self) -> None:
        """Run what is ready; where nothing is, let time jump until something is."""
        ready, agenda = self._ready, self._agenda
        while not ready:
            if not agenda:
                raise RuntimeError("every task waits for another: the simulation would never end")
            moment, _, function, argument = heapq.heappop(agenda)
            self.now = max(self.now, moment)
            function(argument)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _process_events(self, events: object) -> None:
        """Do nothing: there are no sockets."""

    def _write_to_self(self) -> None:
        """Do nothing: nothing waits that would have to be woken."""


class VirtualLoopClock:
    """The toolkit's clock in a simulation: the time of its loop, and random numbers of its own.

    It is the clock of the run's context alone: the rest of the process keeps the system's. Its random numbers are drawn
    in the order of the calls, so the jitter of waits is the same in each run of a seed.
    """

    __slots__ = ("_chance", "_loop")

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self._loop = loop
        self._chance = chance

    def now(self) -> float:
        """Return the virtual time in seconds."""
        return self._loop.now

    def wall(self) -> float:
        """Return seconds since 1970, as if the simulation had begun on 2000-01-01T00:00:00Z."""
        return _EPOCH + self._loop.now

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
        """Return a block that is cancelled after *seconds*, by the loop."""
        return _Limit(self._loop, seconds)


class _Limit:
    """A time limit on a block of the running task. Its entry in the agenda stays when the block is over."""

    __slots__ = ("_entry", "_loop", "_seconds", "expired")

    def __init__(self, loop: VirtualLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._entry: TimeoutEntry | None = None
        self.expired: bool = False

    def __enter__(self) -> _Limit:
        task = asyncio.current_task(self._loop)
        assert task is not None, "calls run in tasks"
        loop = self._loop
        due = loop.now + self._seconds
        self._entry = enter_table(loop.limits, task, due)
        if due > loop.now:
            loop.at(due, self._expire)
        else:  # before the event that the task waits for
            loop.call_soon(self._expire, None)
        return self

    def _expire(self, _: object) -> None:
        if self._entry is not None:
            expire_entry(self._entry)

    @property
    def passed(self) -> bool:
        """Whether its time has passed, while the block may still be ending."""
        return self._entry is not None and self._entry.table is None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._entry is not None, "the block has been entered"
        entry, self._entry = self._entry, None
        self.expired = finish_timeout(entry, error)
        return self.expired


def run_virtually(
    main: Coroutine[Any, Any, T], seed: int, *, loop: VirtualLoop | None = None, chance: random.Random | None = None
) -> T:
    """Run *main* in virtual time from 0 on, and return its result; the same *seed*, the same run.

    The policies draw their random numbers from *chance*, all other code from the module `random`, whose state is the
    program's again afterwards. Raises RuntimeError where every task waits for another.

    >>> run_virtually(asyncio.sleep(3600, "an hour later"), seed=1)
    'an hour later'
    """
    loop = loop or VirtualLoop()
    clock = VirtualLoopClock(loop, chance or random.Random(seed))
    # Not by `using_clock`: time limits need no way round the loop's timers, whose time is the clock's.
    token = _clock.set(clock)
    try:
        with _global_random_seeded(seed), asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(main)
    finally:
        _clock.reset(token)


@contextmanager
def _global_random_seeded(seed: int) -> Generator[None]:
    """Seed the module `random` in the block, for waits of tenacity's, and put its state back afterwards."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def in_own_context(run: Callable[[], T]) -> T:
    """Run in an empty context: no deadline and no switch of the caller's holds. In a thread, where a loop runs here."""
    context = contextvars.Context()
    if asyncio._get_running_loop() is None:
        return context.run(run)
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(context.run(run))
        except BaseException as error:  # raised in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=work, name="resilience-simulation")
    thread.start()
    thread.join()
    for error in errors:
        raise error
    return results[0]
