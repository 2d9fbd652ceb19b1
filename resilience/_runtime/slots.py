"""Slots that calls take and give back, and wait for in the order they came: sync, asyncio and trio alike.

One `Slots` object serves threads and event loops at once. A slot that is released is granted to the call that has
waited longest, under the lock, before that call runs again: no other call can take it in between. The call is then
woken in its own way, outside of the lock. Where that fails, as its event loop is closed, the slot goes to the next one.

A call waits by way of the effect `Acquire`, see `acquire`; `Slots.release` is a plain function, so that a policy can
call it in a ``finally`` whatever ends the call.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable

from resilience._forks import call_in_forked_child
from resilience._validation import parse_count

__all__ = ["Slots", "Waiter"]


def _nothing() -> None:
    """Stand for what wakes a call that does not wait."""


class Waiter:
    """A call that takes a slot, and may have to wait: *wake* is called when it has one, by the thread that released it.

    *granted* says that the slot is its own. It is set and taken back under the lock of the `Slots`.
    """

    __slots__ = ("granted", "wake")

    def __init__(self, wake: Callable[[], object] = _nothing) -> None:
        self.granted: bool = False
        self.wake: Callable[[], object] = wake


class Slots:
    """A number of slots that calls take by the effect `Acquire` and give back by `release`.

    A slot that is given back goes to the call that has waited longest, in whatever thread or event loop that waits.
    In a forked process no call waits. Slots that were taken stay taken: the call that forks goes on in the child, too.

    >>> slots = Slots(2)
    >>> slots.try_acquire(), slots.try_acquire(), slots.try_acquire()
    (True, True, False)
    >>> slots.release()
    >>> slots.free
    1
    """

    def __init__(self, limit: int) -> None:
        self.limit: int = parse_count("limit", limit)
        self._free = limit
        self._begin_queue()
        _all_slots.add(self)

    def _begin_queue(self) -> None:
        """Let no call wait, and no lock be held: at first, and in a forked process, which has no threads but one."""
        self._waiters: deque[Waiter] = deque()
        #: The call that each thread has taken a slot for last. A slot released there is that one, as far as it matters:
        #: until the call's policy has come from its `Acquire` into its ``try``, nothing else runs in the thread.
        self._granted_last: dict[int, Waiter] = {}
        self._lock = threading.RLock()  # the collector may run while it is held, and with it a destructor that releases

    @property
    def free(self) -> int:
        """How many slots can be taken at once."""
        return self._free

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""
        return len(self._waiters)

    def try_acquire(self) -> bool:
        """Take a slot if there is one; return whether."""
        with self._lock:
            if self._free == 0:
                return False
            self._free -= 1
            return True

    def release(self) -> None:
        """Give a slot back."""
        with self._lock:
            if self._free >= self.limit:
                raise RuntimeError("a slot is released that was not acquired")
            self._free += 1
            self._granted_last.pop(threading.get_ident(), _NO_WAITER).granted = False
            granted = self._grant()
        self._wake(granted)

    # -- for the runners -----------------------------------------------------------------------------------------

    def grant(self, waiter: Waiter) -> bool:
        """Take a slot for a call if there is one; return whether."""
        with self._lock:
            if self._free == 0:
                return False
            self._granted_last[threading.get_ident()] = waiter
            self._free -= 1
            waiter.granted = True
            return True

    def queue_up(self, waiter: Waiter) -> None:
        """Have a call wait for a slot; it may be woken at once."""
        with self._lock:
            self._waiters.append(waiter)
            granted = self._grant()  # one that was released since there was none
        self._wake(granted)

    def stop_waiting(self, waiter: Waiter) -> bool:
        """Return whether a call has its slot; it waits no longer."""
        with self._lock:
            if not waiter.granted:
                self._waiters.remove(waiter)
                return False
            waiter.wake = _nothing  # it may lead to an event loop, which need not live as long
            self._granted_last[threading.get_ident()] = waiter
            return True

    def give_up(self, waiter: Waiter) -> None:
        """Have a call wait no longer, and pass on a slot that it has by now. Once or more often."""
        self._wake(self._withdraw(waiter))

    def _grant(self) -> list[Waiter]:
        """Give the free slots to the calls that have waited longest, and return those. Ask under the lock."""
        granted: list[Waiter] = []
        while self._free and self._waiters:
            waiter = self._waiters.popleft()
            self._free -= 1
            waiter.granted = True
            granted.append(waiter)
        return granted

    def _wake(self, granted: list[Waiter]) -> None:
        """Wake calls that have a slot by now, not under the lock; the slot of one that cannot run goes to the next."""
        while granted:
            waiter = granted.pop()
            try:
                waiter.wake()
            except RuntimeError:  # its event loop is closed: it will never take the slot
                granted += self._withdraw(waiter)

    def _withdraw(self, waiter: Waiter) -> list[Waiter]:
        """Take a call out of the queue, or its slot from it; return the calls that have one instead."""
        with self._lock:
            if waiter.granted:
                waiter.granted = False
                self._free += 1
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            return self._grant()

    def __repr__(self) -> str:
        return f"<Slots {self.limit - self._free} of {self.limit} taken, {len(self._waiters)} waiting>"


_NO_WAITER = Waiter()
_all_slots: weakref.WeakSet[Slots] = weakref.WeakSet()


def _begin_queues() -> None:
    for slots in _all_slots:
        slots._begin_queue()


call_in_forked_child(_begin_queues)
