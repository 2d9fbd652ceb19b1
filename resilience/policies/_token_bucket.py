"""A bucket of tokens by GCRA, and the queue of the calls that wait for them, first in, first out.

The generic cell rate algorithm (ITU-T I.371) keeps one number: the theoretical arrival time (TAT), the moment at which
the bucket will be full again. A bucket that is full has one that has passed. Each token that is taken moves it by the
rate's interval, and a call has its tokens where the TAT after it is at most *burst* intervals ahead::

    free_at = tat + interval * cost - interval * burst        (at or before now: go)
    tat     = max(tat, now) + interval * cost

A server's Retry-After is kept in the same number: moved far enough, it has no token before that moment.

A `Ticket` is the place of one call in the queue of its bucket, or of several at once that it takes together, all or
none. Tickets are served in their order, so that small requests do not starve a large one. A call sleeps until its turn
by itself. A call that comes to its turn also hands tokens to those ahead of it that are due: one that sleeps in a busy
event loop does not keep calls of other threads and loops from their turns.

Nothing here waits or knows policies; times are those of the clock that is handed in.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias

from resilience._runtime.protocol import Call, Limiter, Permit, Steps
from resilience.clock import SYSTEM, Clock, current_clock

__all__ = ["Booking", "Bucket", "FreeTokens", "Lock", "Ticket"]

Lock: TypeAlias = AbstractContextManager[object]
"""A re-entrant lock: the collector may run while it is held, and with it a call's generator that leaves the queue."""


class Bucket:
    """Tokens that come back one in *interval* seconds, *burst* at most, and the tickets that wait for them.

    >>> bucket = Bucket(0.5, 2, contextlib.nullcontext())
    >>> bucket.try_acquire(), bucket.try_acquire(), bucket.try_acquire()
    (True, True, False)
    """

    __slots__ = (
        "__weakref__",
        "clock",
        "depth",
        "epoch",
        "interval",
        "lock",
        "process",
        "queue",
        "queued",
        "slack",
        "tat",
    )

    def __init__(
        self, interval: float, burst: int, lock: Lock, *, clock: Clock = SYSTEM, tat: float = -math.inf
    ) -> None:
        self.interval: float = interval
        #: The seconds in which an empty bucket fills.
        self.depth: float = interval * burst
        #: The same, but for one token.
        self.slack: float = interval * (burst - 1)
        self.lock: Lock = lock
        #: The clock of its times. Where calls come by another one, as in a test, it begins anew.
        self.clock: Clock = clock
        self.tat: float = tat
        #: Counts the moments from which on tokens taken before cannot be given back: it was full, or held.
        self.epoch: int = 0
        #: The tickets in their order, each with what it costs, and the sum of that.
        self.queue: OrderedDict[Ticket, float] = OrderedDict()
        self.queued: float = 0.0
        self.process: int = os.getpid()

    def try_acquire(self, cost: float = 1.0) -> bool:
        """Take *cost* tokens if they are there and no call waits; return whether."""
        clock = current_clock()
        now = clock.now()
        with self.lock:
            if clock is not self.clock:
                self.use(clock)
            tat = self.tat  # as in `free_at` and `take`, without their calls
            ahead, price = tat - now, cost * self.interval
            if self.queue or ahead > self.slack or ahead + price > self.depth:
                return False
            if ahead <= 0:
                tat = now
                self.epoch += 1
            self.tat = tat + price
            return True

    def limiter(self, cost: float) -> Limiter:
        """Return what takes the tokens of calls on the fast path, where all take *cost* of them."""
        return FreeTokens(self, cost)

    def prepare(self, call: Call, cost: float) -> Steps[None]:
        """See to the tokens of a call that were not there: nothing, since they come with time."""
        yield from ()

    def available(self, now: float) -> float:
        """Return how many tokens are there; none where they are owed, or a server has asked to wait."""
        return min(self.depth, max(0.0, now + self.depth - self.tat)) / self.interval

    @property
    def waiting(self) -> int:
        """How many calls wait for tokens."""
        return len(self.queue)

    def hold(self, seconds: float) -> None:
        """Have no call go for so many *seconds*, and from then on one after the other at the rate.

        The tokens that are there, and those that would come meanwhile, are gone, but for one.
        """
        self._lower(seconds + self.depth - self.interval)

    def keep_at_most(self, tokens: float) -> None:
        """Take tokens away until no more than so many are there."""
        self._lower(self.depth - tokens * self.interval)

    def continue_from(self, before: Bucket) -> None:
        """Go on where *before* is, of another rate or burst: as many tokens are gone, and a hold lasts as long."""
        clock = current_clock()
        with before.lock:
            before.use(clock)
            until_full = before.tat - clock.now()
            held = until_full - before.depth
            spent = min(until_full, before.depth) / before.interval
        if held > 0:
            self._lower(held + self.depth)
        elif spent > 0:
            self._lower(min(spent * self.interval, self.depth))

    def _lower(self, until_full: float) -> None:
        """Have the bucket be full after so many seconds, or when it would be full anyhow, if that is later."""
        tickets: list[Ticket] = []
        clock = current_clock()
        with self.lock:
            self.use(clock)
            self.epoch += 1
            tat = clock.now() + until_full
            if tat > self.tat:
                self.tat = tat
                tickets = self.replan()
        _ring_all(tickets)

    # -- under the lock ------------------------------------------------------------------------------------------

    def use(self, clock: Clock) -> None:
        """Take times from *clock* from now on; begin anew, full, where that is another one."""
        if clock is not self.clock:
            self.clock = clock
            self.tat = -math.inf
            self.epoch += 1

    def free_at(self, cost: float) -> float:
        """Return when a call can go that is the first in the queue.

        One that costs less than a token needs a whole one: so it does not go before the end of a hold either.
        """
        return self.tat - self._head_start(max(cost, 1.0))

    def turn(self, cost: float, now: float) -> float:
        """Return when a call can go that comes *now*, last in the queue."""
        return max(self.tat, now) - self._head_start(self.queued + max(cost, 1.0))

    def _head_start(self, tokens: float) -> float:
        """Return how long before the TAT so many tokens are there.

        Subtracted at once: added to a time and subtracted again, the seconds would leave what they were rounded by, and
        a full bucket would refuse a call whose turn is in 0.000000000007 s.
        """
        return self.depth - tokens * self.interval

    def take(self, cost: float, now: float) -> int:
        """Take tokens, and return the epoch in which they may be given back."""
        tat = self.tat
        if tat <= now:
            tat = now
            self.epoch += 1
        self.tat = tat + cost * self.interval
        return self.epoch

    def change(self, tokens: float, epoch: int) -> None:
        """Give back *tokens* that were taken in *epoch*, or, below 0, take more of them than are there.

        A bucket that was full since then has them already: to give them back would admit more than the burst.
        """
        if epoch == self.epoch or tokens < 0:
            self.tat -= tokens * self.interval

    def replan(self) -> list[Ticket]:
        """Find out anew when each ticket has its turn, later than before; return those to wake."""
        ahead = 0.0
        tickets = list(self.queue.items())
        for ticket, cost in tickets:
            ticket.turn = max(ticket.turn, self.free_at(cost) + ahead * self.interval)
            ahead += cost
        return [ticket for ticket, _ in tickets]

    def enqueue(self, ticket: Ticket, cost: float) -> None:
        """Put a ticket at the end of the queue."""
        self.queue[ticket] = cost
        self.queued += cost

    def dequeue(self, ticket: Ticket) -> None:
        """Take a ticket out of the queue, if it is there."""
        self.queued -= self.queue.pop(ticket, 0.0)
        if not self.queue:
            self.queued = 0.0  # without what the additions have rounded

    def first(self) -> Ticket | None:
        """Return the ticket that has its turn next."""
        return next(iter(self.queue), None)

    def early(self) -> list[Ticket]:
        """Return the first ticket, where it can go before it would wake by itself."""
        ticket = self.first()
        if ticket is None or self.free_at(self.queue[ticket]) >= ticket.turn:
            return []
        return [ticket]

    def begin_here(self, clock: Clock) -> None:
        """Go on in this process, by *clock*. The queue of one that has forked it is forgotten: its threads are gone."""
        self.use(clock)
        if self.process != os.getpid():
            self.process, self.queued = os.getpid(), 0.0
            self.queue.clear()


class FreeTokens:
    """The tokens of a bucket on the fast path, a `Limiter`: for calls that all take the same number, *cost*.

    A call has them where they are there and no other call waits for them. Any other call goes to a runner, which has it
    wait; so does the first one by another clock. Tokens are spent once the call is made: the limiter takes none back.

    >>> tokens = FreeTokens(Bucket(0.5, 2, contextlib.nullcontext()), 1.0)
    >>> tokens.try_enter([None]), tokens.try_enter([None]), tokens.try_enter([None])
    (True, True, False)
    """

    __slots__ = ("_bucket", "_price", "_slack")

    leaves = False

    def __init__(self, bucket: Bucket, cost: float) -> None:
        self._bucket: Bucket = bucket
        self._price: float = cost * bucket.interval
        #: How far ahead the TAT may be: as for `Bucket.try_acquire`, a call needs a whole token, and all that it costs.
        self._slack: float = min(bucket.slack, bucket.depth - self._price)

    def try_enter(self, permit: Permit, /) -> bool:
        """Take the tokens of a call if they are there and no call waits; return whether."""
        bucket, clock = self._bucket, current_clock()
        now = clock.now()
        with bucket.lock:
            tat = bucket.tat  # as in `Bucket.try_acquire`, without what a cost has to be asked for
            if tat - now > self._slack or bucket.queue or clock is not bucket.clock:
                return False
            if tat <= now:
                tat = now
                bucket.epoch += 1
            bucket.tat = tat + self._price
            return True

    def leave(self, permit: Permit, /) -> None:
        """Take nothing back."""


class Booking:
    """So many tokens of a bucket for one call, which takes them in an *epoch* of the bucket. Ask under the lock."""

    __slots__ = ("bucket", "cost", "epoch")

    def __init__(self, bucket: Bucket, cost: float) -> None:
        self.bucket: Bucket = bucket
        self.cost: float = cost
        self.epoch: int = _NOT_TAKEN

    def free_at(self) -> float:
        """Return when the tokens are there for a call that is the first in the queue."""
        return self.bucket.free_at(self.cost)

    def take(self, now: float) -> None:
        """Take the tokens."""
        self.epoch = self.bucket.take(self.cost, now)

    def settle(self, used: float) -> None:
        """Have so many tokens be used in place of those that were taken."""
        self.bucket.change(self.cost - used, self.epoch)
        self.cost = used


_NOT_TAKEN = -1
"""No epoch of a bucket: there is nothing to give back."""


class Ticket:
    """One call's place in the queues of its buckets; it takes from all of them or from none.

    The call joins the queues, then sleeps until its *turn* as often as `claim` says no. A ticket is *rung* where
    something has changed: the sleep ends, and the call looks again. It has its tokens once it is *granted*; `leave`
    gives them back, and its place, where the call is not made.
    """

    __slots__ = ("_locks", "_wake", "bookings", "granted", "rung", "turn")

    def __init__(self, bookings: Sequence[Booking]) -> None:
        self.bookings: Sequence[Booking] = bookings
        self.granted: bool = False
        self.rung: bool = False
        #: When it can go, as far as is known.
        self.turn: float = -math.inf
        self._wake: Callable[[], object] = _nothing
        # In one order everywhere, so that no two calls wait for each other's. Two keys of one limit share a lock.
        by_id = {id(booking.bucket.lock): booking.bucket.lock for booking in bookings}
        self._locks = [by_id[number] for number in sorted(by_id)]

    def join(self, clock: Clock, latest: float) -> bool:
        """Take the tokens, or a place in the queues; return False, and do neither, where the turn is after *latest*."""
        now = clock.now()
        with self._locked():
            queued = 0.0
            for booking in self.bookings:
                booking.bucket.begin_here(clock)
                queued += booking.bucket.queued
                self.turn = max(self.turn, booking.bucket.turn(booking.cost, now))
            if self.turn <= now and queued == 0.0:
                self._grant(now)
                return True
            if self.turn > latest:
                return False
            for booking in self.bookings:
                booking.bucket.enqueue(self, booking.cost)
            return True

    def claim(self, now: float) -> bool:
        """Take the tokens that are there by *now*, where it is this ticket's turn; return whether it has them.

        Tickets ahead that are due by then are served before.
        """
        while not self._take(now):
            ahead = self._ahead()
            if ahead is None or not ahead._take(now):
                return False
            ahead.ring()
        return True

    def wait(self, now: float) -> float:
        """Return how many seconds to sleep before the next `claim`, which has failed *now*."""
        with self._locked():
            self.rung = False
            if self._is_first():
                self.turn = self._free_at()
            elif self.turn <= now:  # those ahead wait for another bucket: they ring when they are gone
                self.turn = now + max(booking.bucket.interval for booking in self.bookings)
        return self.turn - now

    def leave(self) -> None:
        """Give back the tokens, or the place in the queues. Once or more often."""
        with self._locked():
            for booking in self.bookings:
                booking.settle(0.0)
                booking.bucket.dequeue(self)
            early = self._next()
        _ring_all(early)

    def settle(self, used: Sequence[float]) -> None:
        """Have the tokens that were taken be *used* in place of what was booked: the rest is paid back, or charged."""
        with self._locked():
            changed: list[Ticket] = []
            for booking, tokens in zip(self.bookings, used, strict=True):
                is_charged = tokens > booking.cost
                booking.settle(tokens)
                if is_charged:
                    changed += booking.bucket.replan()
            changed += self._next()
        _ring_all(changed)

    def ring(self) -> None:
        """End the sleep of the call: it has its tokens, or its turn has changed."""
        self.rung = True
        with contextlib.suppress(RuntimeError):  # its event loop is closed
            self._wake()

    @contextlib.contextmanager
    def ringing(self, wake: Callable[[], object]) -> Generator[None]:
        """Have *wake* called when the ticket is rung during the block, or has been since it last asked for its wait."""
        self._wake = wake
        try:
            if self.rung:
                wake()
            yield
        finally:
            self._wake = _nothing

    # -- under the locks -----------------------------------------------------------------------------------------

    def _locked(self) -> Lock:
        if len(self._locks) == 1:
            return self._locks[0]
        return _holding(self._locks)

    def _take(self, now: float) -> bool:
        with self._locked():
            if self.granted:
                return True
            if not self._is_first() or self._free_at() > now:
                return False
            self._grant(now)
            early = self._next()
        _ring_all(early)
        return True

    def _grant(self, now: float) -> None:
        for booking in self.bookings:
            booking.take(now)
            booking.bucket.dequeue(self)
        self.granted = True

    def _free_at(self) -> float:
        return max(map(Booking.free_at, self.bookings))

    def _is_first(self) -> bool:
        return all(booking.bucket.first() is self for booking in self.bookings)

    def _ahead(self) -> Ticket | None:
        with self._locked():
            ahead = [booking.bucket.first() for booking in self.bookings]
        return next((ticket for ticket in ahead if ticket is not self), None)

    def _next(self) -> list[Ticket]:
        return [ticket for booking in self.bookings for ticket in booking.bucket.early()]


@contextlib.contextmanager
def _holding(locks: Sequence[Lock]) -> Generator[None]:
    """Hold all *locks* during the block."""
    if not locks:
        yield
        return
    first, *others = locks
    with first, _holding(others):
        yield


def _ring_all(tickets: Iterable[Ticket]) -> None:
    """Wake the calls of *tickets*, not under a lock."""
    for ticket in tickets:
        ticket.ring()


def _nothing() -> None:
    """Stand for what wakes a call that does not sleep."""
