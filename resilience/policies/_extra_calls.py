"""The limit on extra calls: a share of the calls that are made anyway.

Extra calls are most wanted when a dependency is slow, which is when it can bear them least. A share of all calls bounds
what they add, however many calls are slow.
"""

from __future__ import annotations

import threading

from resilience._forks import fork_safe

__all__ = ["ExtraCalls"]

_MAX_SAVED = 10.0
"""Extra calls that quiet times may save up."""
_ROUNDING = 1e-9


class ExtraCalls:
    """A budget of extra calls: each call pays *share* of one in. Of n calls at most the share, rounded up, are extra.

    >>> extra = ExtraCalls(0.05)
    >>> extra.calls += 1
    >>> extra.take(), extra.take()  # the first one may come at once
    (True, False)
    >>> extra.calls += 20
    >>> extra.take()
    True
    """

    __slots__ = ("_counted", "_lock", "_saved", "calls", "share")

    def __init__(self, share: float) -> None:
        self.share: float = share
        #: The calls made so far. It only grows, and is counted without the lock: threads may lose one to each other.
        self.calls: int = 0
        self._counted = 0
        self._saved = max(0.0, 1.0 - share)
        self._lock = fork_safe(threading.Lock())

    def take(self) -> bool:
        """Take one extra call; return whether there was one."""
        with self._lock:
            paid = (self.calls - self._counted) * self.share
            self._counted = self.calls
            self._saved = min(_MAX_SAVED, self._saved + paid)
            if self._saved + _ROUNDING < 1:
                return False
            self._saved -= 1
            return True

    def give_back(self) -> None:
        """Give back an extra call that was not made."""
        with self._lock:
            self._saved += 1
