"""How many calls any retry has given up on so far: the date of a give-up, and of an attempt.

A failure that a retry further in has given up on is told from one that only carries the report of another call, because
somebody raises the same object again and again, by which of the two came first: the give-up, or the attempt.
"""

from __future__ import annotations

import threading

__all__ = ["GIVE_UPS"]


class _GiveUps:
    """Counts them. Looked at before every attempt, so that is no more than reading *count*."""

    __slots__ = ("_lock", "count")

    def __init__(self) -> None:
        self.count: int = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        """Count one more; return the count."""
        with self._lock:
            self.count += 1
            return self.count


GIVE_UPS = _GiveUps()
