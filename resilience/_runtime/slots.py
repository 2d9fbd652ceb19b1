"""Slots that calls take and give back, and wait for in a queue: sync, asyncio and trio alike.

One `Slots` object serves threads and event loops at once. A slot that is released is granted to a call that waits,
under the lock, before that call runs again: no other call can take it in between. The call is then woken in its own
way, outside of the lock. Where that fails, as its event loop is closed, the slot goes to the next one.

By its order the queue serves the call that has waited longest, or the one that came last. Oldest first is fair, and
best as long as the queue drains. Under lasting overload each call waits as long as the queue is, and its caller may be
gone by the time it is served; newest first then serves those whose callers still wait. ``adaptive``
is oldest first until the queue has stood for `STANDING_QUEUE` seconds without a break, the rule and the constant of
Facebook's "Fail at Scale" (ACM Queue, 2015).

A call waits by way of the effect `Acquire`, see `acquire`; `Slots.release` is a plain function, so that a policy can
call it in a ``finally`` whatever ends the call.
"""

from __future__ import annotations

import contextlib
import math
import threading
import weakref
from collections import deque
from collections.abc import Callable

from resilience._forks import call_in_forked_child
from resilience._validation import optional, parse_count, require_choice
from resilience.clock import current_clock

__all__ = ["ORDERS", "STANDING_QUEUE", "Slots", "Waiter"]

STANDING_QUEUE = 0.1
"""Seconds for which a queue has stood when it is overloaded, rather than in use."""

ORDERS = ("oldest", "newest", "adaptive")


def _parse_queue(parameter: str, value: object) -> int:
    """Return the number of calls that may wait: 0 or more."""
    return parse_count(parameter, value, least=0)


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
    With *order* "newest" it goes to the one that came last, with "adaptive" to that one once calls have been waiting
    for 100 ms without a break. Where *max_queue* calls wait, a further one is refused, or, newest first, takes the
    place of the oldest.

    In a forked process no call waits. Slots that were taken stay taken: the call that forks goes on in the child, too.

    >>> slots = Slots(2)
    >>> slots.try_acquire(), slots.try_acquire(), slots.try_acquire()
    (True, True, False)
    >>> slots.release()
    >>> slots.free
    1
    """

    def __init__(self, limit: int, *, max_queue: int | None = None, order: str = "oldest") -> None:
        self.limit: int = parse_count("limit", limit)
        self.max_queue: int | None = optional(_parse_queue, "max_queue", max_queue)
        self.order: str = require_choice("order", order, ORDERS)
        self._free = limit
        self._begin_queue()
        _all_slots.add(self)

    def _begin_queue(self) -> None:
        """Let no call wait, and no lock be held: at first, and in a forked process, which has no threads but one."""
        self._waiters: deque[Waiter] = deque()
        #: Since when calls wait without a break, by the clock.
        self._waiting_since = math.inf
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

    @property
    def newest_first(self) -> bool:
        """Whether the next slot goes to the call that came last."""
        if self.order != "adaptive":
            return self.order == "newest"
        return current_clock().now() - self._waiting_since >= STANDING_QUEUE

    def queue_up(self, waiter: Waiter) -> bool:
        """Have a call wait for a slot, and return whether it may; it may be woken at once.

        Where the queue is full and serves the newest first, the oldest leaves it, and is woken without a slot.
        """
        evicted = _NO_WAITER
        with self._lock:
            if self.max_queue is not None and len(self._waiters) >= self.max_queue:
                if not self._waiters or not self.newest_first:
                    return False
                evicted = self._waiters.popleft()
            if not self._waiters:
                self._waiting_since = current_clock().now()
            self._waiters.append(waiter)
            granted = self._grant()  # one that was released since there was none
        with contextlib.suppress(RuntimeError):  # its event loop is closed
            evicted.wake()
        self._wake(granted)
        return True

    def stop_waiting(self, waiter: Waiter) -> bool:
        """Return whether a call has its slot; it waits no longer."""
        with self._lock:
            if not waiter.granted:
                self._leave_queue(waiter)
                return False
            waiter.wake = _nothing  # it may lead to an event loop, which need not live as long
            self._granted_last[threading.get_ident()] = waiter
            return True

    def give_up(self, waiter: Waiter) -> None:
        """Have a call wait no longer, and pass on a slot that it has by now. Once or more often."""
        self._wake(self._withdraw(waiter))

    def _grant(self) -> list[Waiter]:
        """Give the free slots to calls that wait, and return those. Ask under the lock."""
        granted: list[Waiter] = []
        if self._free and self._waiters:
            take = self._waiters.pop if self.newest_first else self._waiters.popleft
            while self._free and self._waiters:
                waiter = take()
                self._free -= 1
                waiter.granted = True
                granted.append(waiter)
        return granted

    def _leave_queue(self, waiter: Waiter) -> None:
        """Take a call out of the queue, if it has not been evicted. Ask under the lock."""
        with contextlib.suppress(ValueError):
            self._waiters.remove(waiter)

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
            else:
                self._leave_queue(waiter)
            return self._grant()

    def __repr__(self) -> str:
        return f"<Slots {self.limit - self._free} of {self.limit} taken, {len(self._waiters)} waiting>"


_NO_WAITER = Waiter()
_all_slots: weakref.WeakSet[Slots] = weakref.WeakSet()


def _begin_queues() -> None:
    for slots in _all_slots:
        slots._begin_queue()


call_in_forked_child(_begin_queues)
