"""The objects of a kind that a process uses now: what metrics and the admin page read limits and budgets by.

A policy adds itself when it is made, and is no longer found once nothing else holds it.
"""

from __future__ import annotations

import threading
import weakref
from typing import Generic, TypeVar

from resilience._forks import fork_safe

__all__ = ["Living"]

T = TypeVar("T")


class Living(Generic[T]):
    """Weak references to objects of one kind. It keeps none of them alive.

    >>> class Limit: ...
    >>> limits, limit = Living[Limit](), Limit()
    >>> limits.add(limit)
    >>> limits.all() == [limit]
    True
    """

    def __init__(self) -> None:
        self._objects: weakref.WeakSet[T] = weakref.WeakSet()
        # A weak set must not change while it is read; the collector may run meanwhile, and with it a destructor.
        self._lock = fork_safe(threading.RLock())

    def add(self, new: T) -> None:
        """Have *new* found until it is collected."""
        with self._lock:
            self._objects.add(new)

    def all(self) -> list[T]:
        """Return the objects that there are, in no order."""
        with self._lock:
            return list(self._objects)
