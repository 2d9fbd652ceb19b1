"""Slots that calls take and give back, and wait for in a queue: sync, asyncio and trio alike.

One `Slots` object serves threads and event loops at once. A slot that is released is granted to a call that waits,
before that call runs again: no other call takes it in between. The call is then woken in its own way, outside of the
lock. Where that fails, as its event loop is closed, the slot goes to the next one.

By its order the queue serves the call that has waited longest, or the one that came last. Oldest first is fair, and
best as long as the queue drains. Under lasting overload each call waits as long as the queue is, and its caller may be
gone by the time it is served; newest first then serves those whose callers still wait. ``adaptive`` is oldest first
until the queue has stood for `STANDING_QUEUE` seconds without a break, the rule and the constant of Facebook's "Fail at
Scale" (ACM Queue, 2015). A queue that is shorter than the slots are many is served oldest first in any case: its calls
wait no longer than one call takes. At 90 % of the slots' capacity queues stand now and then, and newest first would
keep some of their calls waiting until it is too late (`benchmarks.load`).

**With a runner** a call waits by way of the effect `Acquire`, see `acquire`; `Slots.release` is a plain function, so
that a policy can call it in a ``finally`` whatever ends the call.

**On the fast path** a call takes a free slot without a runner: `Slots` are a `Limiter`. `try_enter` and `leave` take
no lock. Who holds a slot is an entry of a dictionary. A call writes its own first and counts them then: of two calls
that come for the last slot at once, the one that finds too many takes its entry back, and goes the slow way. Whatever
takes an entry out looks afterwards whether calls wait, and a call that waits has looked for a free slot after it had
queued up: one of both sees the other. Each step is atomic in CPython, with and without the GIL, and Ctrl-C between two
of them leaves an entry that `leave` finds.
"""

from __future__ import annotations

import contextlib
import math
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from resilience._forks import call_in_forked_child
from resilience._priority_context import Rank, current_rank
from resilience._runtime.circuit_context import (
    Permit,
    innermost_permit,
    is_part_of,
    running_calls,
    running_permits,
    still_running,
)
from resilience._runtime.waiting_order import Turns, place_to_evict, place_to_serve, waiting_before
from resilience._validation import optional, parse_count, require_choice
from resilience.clock import current_clock

__all__ = ["ORDERS", "STANDING_QUEUE", "Slots", "Waiter"]

STANDING_QUEUE = 0.1
"""Seconds for which a queue has stood when it is overloaded, rather than in use."""

ORDERS = ("oldest", "newest", "adaptive")

_TIMED_CALLS = 64
#: Of calls that take less than so many seconds, one in so many is timed: two looks at the clock cost as much as a lock.
_SHORT, _ONE_IN = 0.001, 16


def _parse_queue(parameter: str, value: object) -> int:
    """Return the number of calls that may wait: 0 or more."""
    return parse_count(parameter, value, least=0)


def _nothing() -> None:
    """Stand for what wakes a call that does not wait."""


class Waiter:
    """A call that takes a slot, and may have to wait: *wake* is called when it has one, by the thread that released it.

    *granted* says that the slot is its own. It is set and taken back under the lock of the `Slots`. *rank* is the
    priority of the code that makes the call.
    """

    __slots__ = ("granted", "rank", "wake")

    def __init__(self, wake: Callable[[], object] = _nothing) -> None:
        self.rank: Rank = current_rank()
        self.granted: bool = False
        self.wake: Callable[[], object] = wake


class Slots:
    """A number of slots that calls take by the effect `Acquire` and give back by `release`.

    A slot that is given back goes to the call that has waited longest, in whatever thread or event loop that waits.
    With *order* "newest" it goes to the one that came last, with "adaptive" to that one once calls have been waiting
    for 100 ms without a break, and as many of them as there are slots. Where *max_queue* calls wait, a further one is
    refused, or, newest first, takes the place of the oldest.

    Calls may have a priority (`resilience.priority`): those of the highest level are served first, and those of the
    lowest leave a full queue first.

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
        #: For how many seconds the last calls held their slots, of those with a permit.
        self.durations: deque[float] = deque(maxlen=_TIMED_CALLS)
        #: How many further calls on the fast path are not timed.
        self._untimed = 0
        #: The permits and waiters that hold a slot, by id. For a moment there may be one that takes itself back.
        self._held: dict[int, Permit | Waiter] = {}
        #: Those waiters of them that `release` gives back, the oldest first: their calls go on. One that has been
        #: granted its slot and is still to wake is not among them: its slot would be gone when it does.
        self._lent: dict[int, Waiter] = {}
        self._begin_queue()
        _all_slots.add(self)

    def _begin_queue(self) -> None:
        """Let no call wait, and no lock be held: at first, and in a forked process, which has no threads but one."""
        self._waiters: deque[Waiter] = deque()
        #: Those that have a slot by now, or have been evicted, until they have been woken.
        self._unwoken: list[Waiter] = []
        #: Since when calls wait without a break, by the clock.
        self._waiting_since = math.inf
        #: Whether a call of these has a priority of its own; and whose turn it is then.
        self._ranked = False
        self._turns = Turns()
        #: The call that each thread has taken a slot for last. A slot released there is that one, as far as it matters:
        #: until the call's policy has come from its `Acquire` into its ``try``, nothing else runs in the thread.
        self._granted_last: dict[int, Waiter] = {}
        self._lock = threading.RLock()  # the collector may run while it is held, and with it a destructor that releases

    @property
    def free(self) -> int:
        """How many slots can be taken at once."""
        return max(0, self.limit - len(self._held))

    @property
    def in_flight(self) -> int:
        """How many slots are taken."""
        return min(len(self._held), self.limit)

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""
        return len(self._waiters)

    def try_acquire(self) -> bool:
        """Take a slot if there is one; return whether."""
        waiter = Waiter()
        with self._lock:
            if not self._lend(waiter):
                return False
            self._lent[id(waiter)] = waiter
            return True

    def release(self) -> None:
        """Give a slot back."""
        with self._lock:
            waiter = self._granted_last.pop(threading.get_ident(), _NO_WAITER)
            if not waiter.granted:
                waiter = self._longest_lent()
            if not waiter.granted:
                raise RuntimeError("a slot is released that was not acquired")
            self._take_back(waiter)
        self._serve()

    def _longest_lent(self) -> Waiter:
        """Return a waiter whose call goes on. Ask under the lock.

        The last one of another thread only where there is no other, as a call has come to its end in another thread
        than it began in: Ctrl-C may keep that waiter's call from its ``try``, and give its slot back then.
        """
        last = {id(waiter) for waiter in self._granted_last.values()}
        others = (waiter for key, waiter in self._lent.items() if key not in last)
        return next(others, next(iter(self._lent.values()), _NO_WAITER))

    def resize(self, limit: int) -> None:
        """Change the number of slots. Calls that hold more than that keep them until they end."""
        self.limit = limit
        if self._waiters:
            self._serve()

    # -- for the fast path -----------------------------------------------------------------------------------------

    #: A `Limiter` that takes back what it gives.
    leaves = True

    def try_enter(self, permit: Permit, /) -> bool:
        """Take a slot if there is one, for a call with that *permit*; return whether. Note the call in the context."""
        held = self._held
        held[id(permit)] = permit
        if len(held) > self.limit or self._waiters:
            self.leave(permit)
            return False
        permit[0] = self
        if self._untimed > 0:  # threads that come at once may count below it
            self._untimed -= 1
        else:
            permit[2] = self._stamp()
        outer = innermost_permit.get()
        if outer is not None and (outer[0] or outer[1]):  # else it has ended, and leads to no other
            permit[1] = running_permits(outer)
        innermost_permit.set(permit)
        return True

    def leave(self, permit: Permit, /) -> None:
        """Give back the slot of a call with that *permit*, if it has one; once or more often."""
        permit[0] = None
        self._held.pop(id(permit), None)
        if self._waiters:
            self._serve()
        if permit[2] is not None:
            self._record(permit)

    def hold(self, permit: Permit, waiter: Waiter | None) -> None:
        """Give *permit* the slot that *waiter* has got by `Acquire`; note and time the call until `leave`.

        A runner's call is noted with those of circuits, since a stream is: its consumer's code does not belong to it.
        """
        assert waiter is not None, "the runner has granted it"
        with self._lock:
            self._held[id(permit)] = permit  # before the waiter's is taken out, so that no other call can come between
            self._take_back(waiter)
        permit[0], permit[2] = self, self._stamp()
        running_calls.set((*still_running(running_calls.get()), permit))

    def is_held_here(self) -> bool:
        """Whether the running code belongs to a call that holds one of the slots, by a permit."""
        return is_part_of(self)

    def _stamp(self) -> Any:
        """Return what a permit notes of a call that begins now and is timed, for `_record`."""
        return current_clock().now()

    def _record(self, permit: Permit) -> None:
        """Record how long the call with that *permit* has held its slot, once."""
        took = current_clock().now() - permit[2]
        permit[2] = None
        self._note_duration(took)

    def _note_duration(self, took: float) -> None:
        """Note for how long a call has held its slot; and time fewer of the next ones where that is not long."""
        self.durations.append(took)
        self._untimed = (_ONE_IN - 1) * (took < _SHORT)

    # -- for the runners -----------------------------------------------------------------------------------------

    def grant(self, waiter: Waiter) -> bool:
        """Take a slot for a call if there is one that no other call waits for; return whether."""
        self._serve()
        with self._lock:
            if self._waiters or not self._lend(waiter):
                return False
            self._go_on_with(waiter)
            return True

    @property
    def newest_first(self) -> bool:
        """Whether the next slot goes to the call that came last."""
        if self.order != "adaptive":
            return self.order == "newest"
        stands = current_clock().now() - self._waiting_since >= STANDING_QUEUE
        return stands and len(self._waiters) >= self.limit

    def queue_up(self, waiter: Waiter) -> bool:
        """Have a call wait for a slot, and return whether it may; it may be woken at once.

        Where the queue is full and serves the newest first, the oldest leaves it, and is woken without a slot; or in
        any order one of a lower priority.
        """
        with self._lock:
            plain = waiter.rank.is_plain
            if self.max_queue is not None and len(self._waiters) >= self.max_queue:
                place = self._place_to_evict(waiter)
                if place is None:
                    return False
                evicted = self._waiters[place]
                del self._waiters[place]
                self._unwoken.append(evicted)
            if not self._waiters:
                self._waiting_since, self._ranked = current_clock().now(), False
            self._ranked = self._ranked or not plain
            self._waiters.append(waiter)
        self._serve()  # one may have been released since there was none
        return True

    def waiting_before(self, rank: Rank) -> int:
        """Return how many of the calls that wait get a slot before a further one of that *rank*."""
        with self._lock:
            if self._ranked or not rank.is_plain:
                return waiting_before(self._waiters, rank, newest_first=self.newest_first)
            return len(self._waiters) * (not self.newest_first)

    def _place_to_serve(self, newest_first: bool) -> int:
        """Return the place of the call that gets the next slot: the last, the first, or the one of highest priority.

        Where a signal has interrupted the grant to a call, that one has its slot already, and comes first.
        """
        if not self._ranked:
            return -newest_first
        interrupted = (at for at, waiter in enumerate(self._waiters) if id(waiter) in self._held)
        chosen = next(interrupted, None)
        if chosen is None:
            chosen = place_to_serve(self._waiters, self._turns, newest_first=newest_first)
        return chosen

    def _place_to_evict(self, newcomer: Waiter) -> int | None:
        """Return the place of the call that leaves the full queue for another one; None where that is refused."""
        if not self._waiters:
            return None
        if self._ranked or not newcomer.rank.is_plain:
            return place_to_evict(self._waiters, newcomer.rank, newest_first=self.newest_first)
        if self.newest_first:
            return 0
        return None

    def stop_waiting(self, waiter: Waiter) -> bool:
        """Return whether a call has its slot; it waits no longer."""
        with self._lock:
            if not waiter.granted:
                self._withdraw(waiter)
                return False
            waiter.wake = _nothing  # it may lead to an event loop, which need not live as long
            self._go_on_with(waiter)
            return True

    def give_up(self, waiter: Waiter) -> None:
        """Have a call wait no longer, and pass on a slot that it has by now. Once or more often."""
        with self._lock:
            self._withdraw(waiter)
        self._serve()

    def _lend(self, waiter: Waiter) -> bool:
        """Give *waiter* a slot if there is one; return whether. Ask under the lock."""
        key = id(waiter)
        self._held[key] = waiter
        if len(self._held) > self.limit:
            del self._held[key]
            return False
        waiter.granted = True
        return True

    def _go_on_with(self, waiter: Waiter) -> None:
        """Note that the call of *waiter*, which has its slot, goes on in this thread. Ask under the lock."""
        self._lent[id(waiter)] = waiter
        self._granted_last[threading.get_ident()] = waiter

    def _take_back(self, waiter: Waiter) -> None:
        """Take its slot from *waiter*, once or more often. Ask under the lock."""
        waiter.granted = False
        self._lent.pop(id(waiter), None)
        self._held.pop(id(waiter), None)

    def _withdraw(self, waiter: Waiter) -> None:
        """Take a call out of the queue, if it has not been evicted, or its slot from it. Ask under the lock."""
        if not waiter.granted:
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)
        self._take_back(waiter)

    def _serve(self) -> None:
        """Give the free slots to calls that wait, and wake those."""
        try:
            self._grant()
            self._wake()
        except BaseException:  # Ctrl-C in the midst: a call that is not woken would wait for ever
            self._grant()
            self._wake()
            raise

    def _grant(self) -> None:
        """Give the free slots to calls that wait. May be interrupted and begun again."""
        with self._lock:
            if not self._waiters:
                return
            newest_first = self.newest_first
            while self._waiters:
                take = self._place_to_serve(newest_first)
                waiter = self._waiters[take]
                if not self._lend(waiter):
                    break
                del self._waiters[take]
                self._unwoken.append(waiter)
                if self._ranked:
                    self._turns.note(waiter.rank.tenant)

    def _wake(self) -> None:
        """Wake calls, not under the lock; the slot of one that cannot run goes to the next."""
        while self._unwoken:
            for waiter in self._unwoken.copy():
                try:
                    waiter.wake()
                except RuntimeError:  # its event loop is closed: it will never take the slot
                    with self._lock:
                        self._withdraw(waiter)
                with contextlib.suppress(ValueError):  # another thread has woken it, too
                    self._unwoken.remove(waiter)
            self._grant()

    def __repr__(self) -> str:
        return f"<Slots {self.limit - self.free} of {self.limit} taken, {len(self._waiters)} waiting>"


_NO_WAITER = Waiter()
_all_slots: weakref.WeakSet[Slots] = weakref.WeakSet()


def _begin_queues() -> None:
    for slots in _all_slots:
        slots._begin_queue()


call_in_forked_child(_begin_queues)
