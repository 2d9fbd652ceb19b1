"""Sliding windows of outcomes: of the last N calls, of the last N seconds, and of both.

A circuit that opens by a rate has one or two; one that sheds a share of its calls has `RecentCalls`. A window keeps
failures and slow calls, and nothing of a success but its number: calls are numbered from 1 by `Closed.call_count`, a
counter that costs a successful call one addition.

Windows do no locking. The circuit's lock protects every method here; the counter alone is written without it.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

__all__ = ["CountWindow", "RecentCalls", "TimeWindow", "Window", "WindowSnapshot"]

_BUCKETS = 10


class WindowSnapshot(NamedTuple):
    """The outcomes in a window: the number of *calls*, the weight of those that *failed*, how many were *slow*.

    A failure of weight 3 adds 3 to *failed*, so that may be more than *calls*.
    """

    calls: int
    failed: int
    slow: int


class Window(Protocol):
    """Outcomes that a circuit looks at for its failure rate and its rate of slow calls."""

    def record(self, number: int, now: float, *, weight: int = 0, slow: bool = False) -> None:
        """Record that call *number* has ended *now*: with a failure of *weight*, or a success, which may be slow."""

    def snapshot(self, number: int, now: float) -> WindowSnapshot:
        """Return the outcomes in the window when call *number* was the last one, and the time is *now*."""
        ...


class CountWindow:
    """The outcomes of the last *size* calls.

    >>> window = CountWindow(size=4)
    >>> window.record(number=1, now=0.0, weight=1)
    >>> window.snapshot(number=2, now=0.0), window.snapshot(number=5, now=0.0)
    (WindowSnapshot(calls=2, failed=1, slow=0), WindowSnapshot(calls=4, failed=0, slow=0))
    """

    __slots__ = ("_events", "_failed", "_slow", "size")

    def __init__(self, size: int) -> None:
        self.size: int = size
        #: The number of a call and its weight; a slow success weighs 0.
        self._events: deque[tuple[int, int]] = deque()
        self._failed = self._slow = 0

    def record(self, number: int, now: float, *, weight: int = 0, slow: bool = False) -> None:
        """Record how call *number* has ended. A success that was not slow takes no memory."""
        if weight or slow:
            self._forget(number)
            self._events.append((number, weight))
            self._failed += weight
            self._slow += slow

    def snapshot(self, number: int, now: float) -> WindowSnapshot:
        """Return the outcomes of the last calls up to *number*. The time does not matter."""
        self._forget(number)
        return WindowSnapshot(min(number, self.size), self._failed, self._slow)

    def _forget(self, number: int) -> None:
        events = self._events
        while events and events[0][0] <= number - self.size:
            weight = events.popleft()[1]
            self._failed -= weight
            self._slow -= not weight


class Bucket:
    """The calls that ended in a tenth of a time window: from *begin* until *end*."""

    __slots__ = ("begin", "calls", "end", "failed", "slow")

    def __init__(self, begin: float, end: float) -> None:
        self.begin: float = begin
        self.end: float = end
        self.calls: int = 0
        self.failed: int = 0
        self.slow: int = 0


class TimeWindow:
    """The outcomes of the calls of the last *seconds*, in buckets of a tenth of that.

    A bucket begins with the first call that ends in it, so an idle circuit has none. A bucket that lies partly within
    the window counts as a whole: the window is up to a tenth longer than asked for.

    >>> window = TimeWindow(seconds=10.0)
    >>> window.record(number=1, now=3.0)
    >>> window.snapshot(number=1, now=12.9), window.snapshot(number=1, now=13.1)
    (WindowSnapshot(calls=1, failed=0, slow=0), WindowSnapshot(calls=0, failed=0, slow=0))
    """

    __slots__ = ("_buckets", "_width", "current", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds
        self._width = seconds / _BUCKETS
        self._buckets: deque[Bucket] = deque()
        #: The bucket a call that ends now most likely falls into.
        self.current: Bucket = Bucket(0.0, 0.0)

    def record(self, number: int, now: float, *, weight: int = 0, slow: bool = False) -> None:
        """Record how a call has ended *now*. Its number does not matter."""
        bucket = self.current
        if not bucket.begin <= now < bucket.end:
            bucket = self.bucket_for(now)
        bucket.calls += 1
        bucket.failed += weight
        bucket.slow += slow

    def bucket_for(self, now: float) -> Bucket:
        """Return the bucket of a call that ends *now*."""
        current = self.current
        if not current.begin <= now < current.end:
            if now < current.begin:  # the clock was set back: the buckets are another clock's
                self._buckets.clear()
            self._forget(now)
            current = self.current = Bucket(now, now + self._width)
            self._buckets.append(current)
        return current

    def snapshot(self, number: int, now: float) -> WindowSnapshot:
        """Return the outcomes of the calls of the last seconds before *now*."""
        self._forget(now)
        calls = failed = slow = 0
        for bucket in self._buckets:
            calls += bucket.calls
            failed += bucket.failed
            slow += bucket.slow
        return WindowSnapshot(calls, failed, slow)

    def _forget(self, now: float) -> None:
        while self._buckets and self._buckets[0].begin + self.seconds <= now:
            if self._buckets.popleft() is self.current:  # no clock may lead to it any more
                self.current = Bucket(0.0, 0.0)


class RecentCalls:
    """The outcomes of the last *size* calls, without those up to a failure that is more than *seconds* old.

    So it forgets by number where calls are many, and by time where they are few, and still no success needs a time:
    what is too old is known by the failures alone. Until the next one gets too old, the window reaches back to the call
    after the last that did.

    >>> window = RecentCalls(size=100, seconds=10.0)
    >>> window.record(number=1, now=0.0, weight=1)
    >>> window.record(number=8, now=6.0, weight=1)
    >>> window.snapshot(number=9, now=7.0), window.snapshot(number=11, now=11.0)
    (WindowSnapshot(calls=9, failed=2, slow=0), WindowSnapshot(calls=10, failed=1, slow=0))
    """

    __slots__ = ("_begin", "_events", "_failed", "_slow", "seconds", "size")

    def __init__(self, size: int, seconds: float) -> None:
        self.size: int = size
        self.seconds: float = seconds
        #: The number of a call, its weight, and when it ended; a slow success weighs 0.
        self._events: deque[tuple[int, int, float]] = deque()
        self._failed = self._slow = 0
        #: The number of the last call that is too old.
        self._begin = 0

    def record(self, number: int, now: float, *, weight: int = 0, slow: bool = False) -> None:
        """Record how call *number* has ended *now*. A success that was not slow takes no memory."""
        if weight or slow:
            self._forget(number, now)
            self._events.append((number, weight, now))
            self._failed += weight
            self._slow += slow

    def snapshot(self, number: int, now: float) -> WindowSnapshot:
        """Return the outcomes of the last calls up to *number*, without those that are too old *now*."""
        self._forget(number, now)
        return WindowSnapshot(min(number - self._begin, self.size), self._failed, self._slow)

    def _forget(self, number: int, now: float) -> None:
        events = self._events
        while events:
            event, weight, ended = events[0]
            aged = not now - self.seconds < ended <= now  # an event of the future is another clock's
            if not aged and event > number - self.size:
                return
            events.popleft()
            self._failed -= weight
            self._slow -= not weight
            self._begin = event
