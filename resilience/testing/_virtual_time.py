"""Virtual time: every clock, sleep and timer of the toolkit jumps instead of waiting."""

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

from resilience._validation import parse_duration as a_duration
from resilience._validation import parse_number
from resilience.clock import TimeLimit, Waitable, using_clock

__all__ = ["VirtualClock", "virtual_time"]

# A task that is about to sleep gets there within a few rounds of the event loop; then nobody else is going to.
_IDLE_ROUNDS = 16


@contextmanager
def virtual_time(*, patience: float = 1.0, seed: int = 0) -> Generator[VirtualClock]:
    """Make the toolkit's time virtual in this context: this task and the ones it starts, and this thread.

    Threads get it where context variables go along: `asyncio.to_thread`, `anyio.to_thread`, the workers of sync time
    limits; not a bare `threading.Thread`.

    A backoff of an hour returns at once, and an hour has passed. Jitter is drawn from *seed*: the same every run.
    Work the toolkit does not do (I/O, the program's own sleeps) takes no virtual time; a call under a time limit
    that is really waiting for something is given *patience* real seconds, then time jumps to its limit.

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
    """Somebody who waits for a moment of virtual time."""

    def __init__(self, deadline: float, due: bool) -> None:
        self.deadline = deadline
        self.due: bool = due

    def fall_due(self) -> None:
        """Its moment has come."""
        self.due = True

    def arm(self, patience: float | None) -> None:
        """Be the next one: after *patience* real seconds without any change its moment has come. None: not any more."""


class VirtualClock:
    """A clock whose time passes when somebody sleeps on it, or by `advance`. Starts at 0."""

    def __init__(self, *, patience: float = 1.0, seed: int = 0) -> None:
        self.patience: float = parse_number("patience", patience, "real seconds of more than 0", least=0.0, above=True)
        self._now = 0.0
        self._random = random.Random(seed)
        self._lock = threading.RLock()
        self._order = itertools.count()
        self._timers: list[tuple[float, int, _Timer]] = []
        self._armed: _Timer | None = None
        #: How often somebody came, went or moved time: while it changes, nobody has waited in vain.
        self.moves: int = 0

    def now(self) -> float:
        """Seconds of virtual time since this clock was made."""
        return self._now

    def wall(self) -> float:
        """Seconds since 1970 when this clock was made on 2000-01-01T00:00:00Z."""
        return 946_684_800.0 + self._now

    def random(self) -> float:
        """Return the next of the numbers the seed stands for, in [0, 1)."""
        return self._random.random()

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass, for a test that moves time itself. Sleepers and limits that are due end."""
        self.reach(self._now + a_duration("seconds", seconds, zero=True))

    def sleep(self, seconds: float, wake: Waitable | None = None) -> None:
        """Let *seconds* pass at once, but not past the limit of a caller who then leaves, and sets *wake*."""
        deadline = self._now + seconds
        while wake is not None and (timer := self.next_timer()) is not None and timer.deadline < deadline:
            self.reach(timer.deadline)
            if wake.wait(self.patience):
                return
        self.reach(deadline)

    async def sleep_async(self, seconds: float) -> None:
        """Let *seconds* pass for this task, after everybody who wakes before it."""
        from anyio.lowlevel import checkpoint

        timer = self.start(_Timer(self._now + seconds, due=seconds <= 0))
        try:
            idle, moves = 0, self.moves
            while not timer.due:
                await checkpoint()
                idle, moves = (idle + 1, moves) if moves == self.moves else (0, self.moves)
                first = self.next_timer()
                # Another sleeper jumps by itself; another task's limit has its own patience.
                if idle > _IDLE_ROUNDS and first is not None and (first is timer or first in _enclosing.get()):
                    self.reach(first.deadline)
            await checkpoint()
        finally:
            self.stop(timer)

    def wait(self, begin: Callable[[], object], done: Waitable, seconds: float) -> bool:
        """Wait for *done* for as long as virtual time stays within *seconds*, or *patience* where it stands still."""
        if seconds == math.inf:  # time cannot jump there
            begin()
            return done.wait(seconds)
        timer = self.start(_Timer(self._now + seconds, due=False))
        try:
            begin()
            give_up, moves = time.monotonic() + self.patience, self.moves
            # No way to wait for an event and for virtual time together: look at both, often.
            while not done.wait(0.0005):
                if timer.due:
                    return False
                if moves != self.moves:
                    give_up, moves = time.monotonic() + self.patience, self.moves
                elif time.monotonic() >= give_up and self.next_timer() is timer:
                    self.reach(timer.deadline)
            return not timer.due  # done, but its own sleeping may have taken it past the limit
        finally:
            self.stop(timer)

    def limit(self, seconds: float, *, shared: bool = True) -> AbstractContextManager[TimeLimit]:
        """Cancel the block when virtual time passes *seconds*, or nothing happens for *patience* real ones."""
        return _VirtualLimit(self, seconds)

    # -- for the timers of this file -----------------------------------------------------------------------------

    def start(self, timer: _Timer) -> _Timer:
        """Put *timer* on the list."""
        with self._lock:
            if not timer.due:
                heapq.heappush(self._timers, (timer.deadline, next(self._order), timer))
            self._moved()
        return timer

    def stop(self, timer: _Timer) -> None:
        """Take *timer* off the list, due or not."""
        with self._lock:
            kept = [entry for entry in self._timers if entry[2] is not timer]
            if len(kept) != len(self._timers):
                self._timers = kept
                heapq.heapify(kept)
            self._moved()

    def next_timer(self) -> _Timer | None:
        """Return who is due first."""
        with self._lock:
            return self._timers[0][2] if self._timers else None

    def reach(self, deadline: float) -> None:
        """Let time pass until *deadline*; whoever is due by then falls due."""
        due: list[_Timer] = []
        with self._lock:
            self._now = max(self._now, deadline)
            while self._timers and self._timers[0][0] <= self._now:
                due.append(heapq.heappop(self._timers)[2])
            self._moved()
        for timer in due:
            timer.fall_due()

    def _moved(self) -> None:
        self.moves += 1
        first = self._timers[0][2] if self._timers else None
        if self._armed is not None and self._armed is not first:
            self._armed.arm(None)
        self._armed = first
        if first is not None:
            first.arm(self.patience)


class _VirtualLimit(_Timer):
    """A time limit of an async block: a cancel scope whose real deadline is the clock's patience."""

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
        caught = self._scope.__exit__(*raised)  # type: ignore[arg-type]  # what `with` handed us
        if self._scope.cancelled_caught:
            self._clock.reach(self.deadline)  # when it was patience that ended
        return caught

    @property
    def expired(self) -> bool:
        return self._scope.cancelled_caught

    def fall_due(self) -> None:
        super().fall_due()
        if threading.get_ident() == self._thread:  # elsewhere the scope must not be touched: patience ends it
            self._scope.cancel()

    def arm(self, patience: float | None) -> None:
        if threading.get_ident() == self._thread:
            import anyio

            self._scope.deadline = math.inf if patience is None else anyio.current_time() + patience


_enclosing: ContextVar[tuple[_VirtualLimit, ...]] = ContextVar("resilience.virtual_limits", default=())
