"""Buckets for each key, in little memory: of a key at rest one number is kept, and of one that is full nothing.

A program that limits each of its users has a bucket for each of 100 000 of them. A bucket is no more than its TAT
(`_token_bucket`), so a dict from keys to those numbers holds them: 60 to 80 bytes a key. The object `Bucket`, with its
queue, exists while a call or a reservation uses it. A key whose bucket is full is as good as one that was never seen,
and is forgotten.
"""

from __future__ import annotations

import heapq
import math
import threading
from collections.abc import Hashable
from weakref import WeakValueDictionary

from resilience._forks import fork_safe
from resilience.clock import SYSTEM, Clock, current_clock
from resilience.policies._token_bucket import Bucket, Lock

__all__ = ["KeyedBuckets"]

_MIN_SWEEP = 1024


class _KeyBucket(Bucket):
    """The bucket of one key; its TAT is in the table."""

    __slots__ = ("_key", "_table")

    def __init__(self, table: KeyedBuckets, key: Hashable) -> None:
        self._table = table
        self._key = key
        super().__init__(table.interval, table.burst, table.lock, clock=table.clock, tat=table.tat_of(key))

    @property
    def tat(self) -> float:
        return self._table.tat_of(self._key)

    @tat.setter
    def tat(self, tat: float) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] - it can be set
        self._table.put(self._key, tat)


class KeyedBuckets:
    """The buckets of the keys that were seen, each of *burst* tokens, one back in *interval* seconds.

    When there are more than *max_keys* that are not full, those nearest to it are forgotten: they begin anew.

    >>> buckets = KeyedBuckets(60.0, 1, 1000)
    >>> [buckets.of(key).try_acquire() for key in ("ada", "bob", "ada")]
    [True, True, False]
    >>> len(buckets)
    2
    """

    def __init__(self, interval: float, burst: int, max_keys: int) -> None:
        self.interval: float = interval
        self.burst: int = burst
        self.clock: Clock = SYSTEM
        # The collector may run while it is held, and with it a call's generator that leaves the queue.
        self.lock: Lock = fork_safe(threading.RLock())
        self._max_keys = max_keys
        self._tats: dict[Hashable, float] = {}
        self._sweep_at = min(_MIN_SWEEP, max_keys)
        self._in_use: WeakValueDictionary[Hashable, _KeyBucket] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._tats)

    def of(self, key: Hashable) -> Bucket:
        """Return the bucket of a key."""
        with self.lock:
            clock = current_clock()
            if clock is not self.clock:
                self.clock, self._tats = clock, {}
            bucket = self._in_use.get(key)
            if bucket is None:
                bucket = self._in_use[key] = _KeyBucket(self, key)
            return bucket

    def in_use(self) -> list[Bucket]:
        """Return the buckets that calls or reservations use now."""
        with self.lock:
            return list(self._in_use.values())

    def emptiest(self) -> Bucket:
        """Return the bucket that has the fewest tokens; a full one where all are."""
        with self.lock:
            tats = self._tats.copy()
        tat = max(tats.values(), default=-math.inf)
        return Bucket(self.interval, self.burst, self.lock, clock=self.clock, tat=tat)

    def tat_of(self, key: Hashable) -> float:
        """Return the TAT of a key's bucket; one long past where it is full."""
        return self._tats.get(key, -math.inf)

    def put(self, key: Hashable, tat: float) -> None:
        """Keep the TAT of a key's bucket. Ask under the lock."""
        if tat == -math.inf:
            self._tats.pop(key, None)
            return
        self._tats[key] = tat
        if len(self._tats) > self._sweep_at:
            self._sweep()

    def _sweep(self) -> None:
        """Forget the keys whose buckets are full, and of too many others those that are nearest to it.

        A new dict, since one that had many keys keeps its memory. A quarter of *max_keys* is left free, so that the
        next sweep is as many keys away.
        """
        now = self.clock.now()
        kept = {key: tat for key, tat in self._tats.items() if tat > now}
        at_most = self._max_keys - self._max_keys // 4
        if len(self._tats) > self._max_keys and len(kept) > at_most:
            kept = dict(heapq.nlargest(at_most, kept.items(), key=_by_tat))
        self._tats = kept
        self._sweep_at = min(max(_MIN_SWEEP, 2 * len(kept)), self._max_keys)


def _by_tat(entry: tuple[Hashable, float]) -> float:
    return entry[1]
