"""The counter of exhausted retries. Its value dates attempts and exhaustions.

An error may have exhausted a nested retry during the present attempt, or still carry the report of an earlier call,
since programs raise the same object again and again. The counter tells the two apart: it shows which came first, the
exhaustion or the start of the attempt.
"""

from __future__ import annotations

import threading

from resilience._forks import fork_safe

__all__ = ["exhaustion_counter"]


class _ExhaustionCounter:
    """Counts them. *count* is read before every attempt, so reading it has to cost no more than an attribute."""

    __slots__ = ("_lock", "count")

    def __init__(self) -> None:
        self.count: int = 0
        self._lock = fork_safe(threading.Lock())

    def next(self) -> int:
        """Count one more; return the count."""
        with self._lock:
            self.count += 1
            return self.count


exhaustion_counter = _ExhaustionCounter()
