"""What share of the last calls failed, or was slow: of the last so many, and of the last so many seconds.

Nothing is stored for a call that went well. Calls are numbered, a failure keeps its number, and how many calls there
were is a count that costs the caller one addition; see `Closed.passes`.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

__all__ = ["LastCalls", "LastSeconds", "Share"]

_BUCKETS = 10


class Share(NamedTuple):
    """Of so many *calls*, what the failures weigh and how many were slow."""

    calls: int
    failed: int
    slow: int


class LastCalls:
    """The last *size* calls.

    >>> window = LastCalls(size=4)
    >>> window.fail(number=1, weight=1)
    >>> window.share(number=2), window.share(number=5)
    (Share(calls=2, failed=1, slow=0), Share(calls=4, failed=0, slow=0))
    """

    __slots__ = ("_failed", "_marks", "_slow", "size")

    def __init__(self, size: int) -> None:
        self.size: int = size
        self._marks: deque[tuple[int, int]] = deque()  # number of the call, weight; 0 is a slow one
        self._failed = self._slow = 0

    def fail(self, number: int, weight: int) -> None:
        """Call *number* (from 1) failed."""
        self._forget(number)
        self._marks.append((number, weight))
        self._failed += weight

    def slow(self, number: int) -> None:
        """Call *number* took too long."""
        self._forget(number)
        self._marks.append((number, 0))
        self._slow += 1

    def share(self, number: int) -> Share:
        """Return what the last calls up to *number* came to."""
        self._forget(number)
        return Share(min(number, self.size), self._failed, self._slow)

    def _forget(self, number: int) -> None:
        marks = self._marks
        while marks and marks[0][0] <= number - self.size:
            weight = marks.popleft()[1]
            self._failed -= weight
            self._slow -= not weight


class Bucket:
    """A tenth of the time looked at: from *begin* until *end*."""

    __slots__ = ("begin", "calls", "end", "failed", "slow")

    def __init__(self, begin: float, end: float) -> None:
        self.begin: float = begin
        self.end: float = end
        self.calls: int = 0
        self.failed: int = 0
        self.slow: int = 0


class LastSeconds:
    """The calls of the last *seconds*, to a tenth of them.

    >>> window = LastSeconds(seconds=10.0)
    >>> window.at(now=3.0).calls += 1
    >>> window.share(now=12.9), window.share(now=13.1)
    (Share(calls=1, failed=0, slow=0), Share(calls=0, failed=0, slow=0))
    """

    __slots__ = ("_buckets", "_width", "current", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds
        self._width = seconds / _BUCKETS
        self._buckets: deque[Bucket] = deque()
        #: The bucket a call that ends now most likely falls into.
        self.current: Bucket = Bucket(0.0, 0.0)

    def at(self, now: float) -> Bucket:
        """Return the bucket of a call that ends *now*."""
        current = self.current
        if not current.begin <= now < current.end:
            if now < current.begin:  # a clock that was set back: its past is another's
                self._buckets.clear()
            self._forget(now)
            current = self.current = Bucket(now, now + self._width)
            self._buckets.append(current)
        return current

    def share(self, now: float) -> Share:
        """Return what the calls of the last seconds came to."""
        self._forget(now)
        buckets = self._buckets
        return Share(
            sum(bucket.calls for bucket in buckets),
            sum(bucket.failed for bucket in buckets),
            sum(bucket.slow for bucket in buckets),
        )

    def _forget(self, now: float) -> None:
        # By its end: of a bucket that is partly within the time all is counted, as it is most likely what came last.
        while self._buckets and self._buckets[0].begin + self.seconds <= now:
            if self._buckets.popleft() is self.current:  # nothing may be counted in it any more, by whatever clock
                self.current = Bucket(0.0, 0.0)
