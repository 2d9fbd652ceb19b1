"""Sliding windows of outcomes: of the last N calls, and of the last N seconds.

Nothing is stored for a success. Calls are numbered, a failure or a slow call is stored with its number, and the number
of calls is a counter that costs a successful call one addition: `Closed.call_count`.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

__all__ = ["CountWindow", "TimeWindow", "WindowSnapshot"]

_BUCKETS = 10


class WindowSnapshot(NamedTuple):
    """The outcomes in a window: the number of *calls*, the weight of those that *failed*, how many were *slow*."""

    calls: int
    failed: int
    slow: int


class CountWindow:
    """The outcomes of the last *size* calls.

    >>> window = CountWindow(size=4)
    >>> window.fail(number=1, weight=1)
    >>> window.snapshot(number=2), window.snapshot(number=5)
    (WindowSnapshot(calls=2, failed=1, slow=0), WindowSnapshot(calls=4, failed=0, slow=0))
    """

    __slots__ = ("_events", "_failed", "_slow", "size")

    def __init__(self, size: int) -> None:
        self.size: int = size
        self._events: deque[tuple[int, int]] = deque()  # number of the call, weight; 0 is a slow one
        self._failed = self._slow = 0

    def fail(self, number: int, weight: int) -> None:
        """Record that call *number* (from 1) failed."""
        self._forget(number)
        self._events.append((number, weight))
        self._failed += weight

    def slow(self, number: int) -> None:
        """Record that call *number* succeeded, but was slow."""
        self._forget(number)
        self._events.append((number, 0))
        self._slow += 1

    def snapshot(self, number: int) -> WindowSnapshot:
        """Return the outcomes of the last calls up to *number*."""
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

    >>> window = TimeWindow(seconds=10.0)
    >>> window.bucket_for(now=3.0).calls += 1
    >>> window.snapshot(now=12.9), window.snapshot(now=13.1)
    (WindowSnapshot(calls=1, failed=0, slow=0), WindowSnapshot(calls=0, failed=0, slow=0))
    """

    __slots__ = ("_buckets", "_width", "current", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds
        self._width = seconds / _BUCKETS
        self._buckets: deque[Bucket] = deque()
        #: The bucket a call that ends now most likely falls into.
        self.current: Bucket = Bucket(0.0, 0.0)

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

    def snapshot(self, now: float) -> WindowSnapshot:
        """Return the outcomes of the calls of the last seconds."""
        self._forget(now)
        buckets = self._buckets
        return WindowSnapshot(
            sum(bucket.calls for bucket in buckets),
            sum(bucket.failed for bucket in buckets),
            sum(bucket.slow for bucket in buckets),
        )

    def _forget(self, now: float) -> None:
        # By its end: a bucket that is partly within the window counts as a whole.
        while self._buckets and self._buckets[0].begin + self.seconds <= now:
            if self._buckets.popleft() is self.current:  # no clock may lead to it any more
                self.current = Bucket(0.0, 0.0)
