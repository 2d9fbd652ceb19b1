"""Virtual time: every clock, sleep and time limit of the toolkit jumps instead of waiting.

A `VirtualClock` keeps a list of timers, one for each sleeper and each time limit, ordered by their deadlines. Time
jumps to the first deadline when the program makes no progress without that: a sync sleep jumps at once, an async one
after a few rounds of the event loop without another timer, a limit after *patience* real seconds. `_VirtualLimit` is a
cancel scope of anyio, so that limits work on asyncio and on trio.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from resilience._validation import parse_duration, parse_number
from resilience.clock import TimeLimit, Waitable, using_clock

__all__ = ["VirtualClock", "virtual_time"]

_IDLE_ROUNDS = 16
"""Rounds of the event loop after which a sleeper may jump: a task that is about to sleep gets there in fewer."""
_POLL_SECONDS = 0.0005


@contextmanager
def virtual_time(*, patience: float = 1.0, seed: int = 0) -> Generator[VirtualClock]:
    """Make the toolkit's time virtual in this context: this thread, this task and the tasks it starts.

    Threads that copy context variables have it too: `asyncio.to_thread`, `anyio.to_thread`, the workers of sync time
    limits; a bare `threading.Thread` does not, unless it runs ``contextvars.copy_context().run``. Tests in parallel do
    not disturb each other.

    A backoff of an hour returns at once, and an hour has passed. Jitter is drawn from *seed*, so it is the same in each
    run. I/O and the program's own sleeps take no virtual time, and `time.time` and a client's own timeouts stay real. A
    call under a time limit that waits for one of them has *patience* real seconds; then time jumps to its limit: make
    it small where tests hang on purpose, large where a call does real work. Raises TypeError or ValueError for an
    invalid *patience*.

    >>> from resilience import retry_on_category
    >>> @retry_on_category(attempts=3, base_delay=60, jitter="none")
    ... def always_down():
    ...     raise ConnectionRefusedError
    >>> with virtual_time() as clock:
    ...     try:
    ...         always_down()
    ...     except ConnectionRefusedError:
    ...         clock.now()
    120.0
    """
    clock = VirtualClock(patience=patience, seed=seed)
    with using_clock(clock):
        yield clock


class _Timer:
    """A moment of virtual time that a sleeper or a limit waits for: *due* when the clock has reached *deadline*."""

    def __init__(self, deadline: float, due: bool) -> None:
        self.deadline = deadline
        self.due: bool = due

    def fall_due(self) -> None:
        """Mark the timer as due."""
        self.due = True

    def arm(self, patience: float | None) -> None:
        """Let the timer fall due by itself after *patience* real seconds; None takes that back. Sleepers need not."""


class VirtualClock:
    """A clock whose time passes when the toolkit sleeps on it, or by `advance`. It starts at 0.

    It may be used from several threads and tasks at once.
    """

    def __init__(self, *, patience: float = 1.0, seed: int = 0) -> None:
        self.patience: float = parse_number("patience", patience, "real seconds of more than 0", least=0.0, above=True)
        self._now = 0.0
        self._random = random.Random(seed)
        self._lock = threading.RLock()
        self._order = itertools.count()
        self._timers: list[tuple[float, int, _Timer]] = []
        self._armed: _Timer | None = None
        #: Counts timers that started or stopped and jumps of time. While it changes, the program makes progress.
        self.moves: int = 0

    def now(self) -> float:
        """Return the seconds of virtual time since this clock was made."""
        return self._now

    def wall(self) -> float:
        """Return seconds since 1970, as if this clock had been made on 2000-01-01T00:00:00Z."""
        return 946_684_800.0 + self._now

    def random(self) -> float:
        """Return the next random number of the seed, in [0, 1)."""
        return self._random.random()

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass. Sleepers wake and limits expire that are due by then."""
        self.reach(self._now + parse_duration("seconds", seconds, zero=True))

    def sleep(self, seconds: float, wake: Waitable | None = None) -> None:
        """Let *seconds* pass at once.

        With *wake*, timers that are due earlier fall due first: the limit of the caller may be one of them, and the
        caller sets *wake* when it leaves.
        """
        deadline = self._now + seconds
        while wake is not None and (timer := self.next_timer()) is not None and timer.deadline < deadline:
            self.reach(timer.deadline)
            if wake.wait(self.patience):
                return
        self.reach(deadline)

    async def sleep_async(self, seconds: float) -> None:
        """Let *seconds* pass for this task, after all sleepers that wake before it."""
        from anyio.lowlevel import checkpoint

        timer = self.start(_Timer(self._now + seconds, due=seconds <= 0))
        try:
            idle, moves = 0, self.moves
            while not timer.due:
                await checkpoint()
                idle += 1
                if moves != self.moves:
                    idle, moves = 0, self.moves
                elif idle > _IDLE_ROUNDS:
                    self._jump(timer)
            await checkpoint()
        finally:
            self.stop(timer)

    def run_and_wait(self, begin: Callable[[], object], done: Waitable, seconds: float) -> bool:
        """Call *begin*, then wait for *done*; return whether it came within *seconds* of virtual time.

        Where virtual time stands still, it jumps to the end of the limit after *patience* real seconds.
        """
        if seconds == math.inf:  # time cannot jump there
            begin()
            return done.wait(seconds)
        timer = self.start(_Timer(self._now + seconds, due=False))
        try:
            begin()
            patience_ends, moves = time.monotonic() + self.patience, self.moves
            # There is no way to wait for an event and for virtual time together, so both are polled.
            while not timer.due and not done.wait(_POLL_SECONDS):
                if moves != self.moves:
                    patience_ends, moves = time.monotonic() + self.patience, self.moves
                elif time.monotonic() >= patience_ends:
                    self._jump(timer)
            return not timer.due  # it may be done, but after a sleep of its own past the limit
        finally:
            self.stop(timer)

    def move_on_after(self, seconds: float, *, shared: bool = True) -> AbstractContextManager[TimeLimit]:
        """Return a block that is cancelled after *seconds* of virtual time, or a *patience* without progress."""
        return _VirtualLimit(self, seconds)

    # -- for the timers of this file -----------------------------------------------------------------------------

    def start(self, timer: _Timer) -> _Timer:
        """Add *timer* to the list, unless it is due; return it."""
        with self._lock:
            if not timer.due:
                heapq.heappush(self._timers, (timer.deadline, next(self._order), timer))
            self._moved()
        return timer

    def stop(self, timer: _Timer) -> None:
        """Remove *timer* from the list, whether it is due or not."""
        with self._lock:
            kept = [entry for entry in self._timers if entry[2] is not timer]
            if len(kept) != len(self._timers):
                self._timers = kept
                heapq.heapify(kept)
            self._moved()

    def next_timer(self) -> _Timer | None:
        """Return the timer that is due first."""
        with self._lock:
            return self._first()

    def reach(self, deadline: float) -> None:
        """Let time pass until *deadline*; the timers of this time fall due."""
        due: list[_Timer] = []
        with self._lock:
            self._now = max(self._now, deadline)
            while self._timers and self._timers[0][0] <= self._now:
                due.append(heapq.heappop(self._timers)[2])
            self._moved()
        for timer in due:
            timer.fall_due()

    def _jump(self, timer: _Timer) -> None:
        """Let time pass until the first deadline, if that is *timer*'s or that of a limit around this task.

        Another sleeper jumps by itself, and the limit of another task has a patience of its own.
        """
        first = self.next_timer()
        if first is not None and first in (timer, *_enclosing.get()):
            self.reach(first.deadline)

    def _first(self) -> _Timer | None:
        for _, _, timer in self._timers[:1]:
            return timer
        return None

    def _moved(self) -> None:
        """Note progress, and have the first timer, and no other, wait for the patience to end."""
        self.moves += 1
        first = self._first()
        if self._armed is not None and self._armed is not first:
            self._armed.arm(None)
        self._armed = first
        if first is not None:
            first.arm(self.patience)


class _VirtualLimit(_Timer):
    """A time limit on an async block: a cancel scope whose real deadline is the end of the clock's patience."""

    def __init__(self, clock: VirtualClock, seconds: float) -> None:
        super().__init__(clock.now() + seconds, due=False)
        self._clock = clock

    def __enter__(self) -> _VirtualLimit:
        import anyio

        self._thread = threading.get_ident()
        self._scope = anyio.CancelScope()
        self._scope.__enter__()
        self._token = _enclosing.set((*_enclosing.get(), self))
        self._clock.start(self)
        return self

    def __exit__(self, *raised: object) -> bool | None:
        _enclosing.reset(self._token)
        self._clock.stop(self)
        caught = self._scope.__exit__(*raised)  # type: ignore[arg-type]  # as `with` passes them
        if self._scope.cancelled_caught:
            self._clock.reach(self.deadline)  # where the patience has ended
        return caught

    @property
    def expired(self) -> bool:
        return self._scope.cancelled_caught

    @property
    def passed(self) -> bool:
        return self._scope.cancel_called

    def fall_due(self) -> None:
        super().fall_due()
        if threading.get_ident() == self._thread:  # other threads must not touch the scope: its patience ends it
            self._scope.cancel()

    def arm(self, patience: float | None) -> None:
        if threading.get_ident() == self._thread:
            import anyio

            self._scope.deadline = math.inf
            if patience is not None:
                self._scope.deadline = anyio.current_time() + patience


_enclosing: ContextVar[tuple[_VirtualLimit, ...]] = ContextVar("resilience.virtual_limits", default=())
