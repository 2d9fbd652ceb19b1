"""The bucket of a quota that a fleet shares: tokens are leased from the store in batches, and spent here.

The store has one bucket for all processes (GCRA, by its own clock), so all together take no more than the rate allows.
A process takes from it what it is about to need in the next tenth of a second, or where there is nothing, books its
share of what comes next. Batches that wait are served first come, first served, one for each process, which makes the
shares equal where all want more than there is. What is not spent within a second or so is given back.

Asking the store for each call would cost each a round trip, and the server a script per call. With batches a call whose
tokens are leased takes them under a lock of this process, and the server sees about ten scripts a second from each of
them.

While the store is in trouble, each process spends its *safe share*: the rate divided by the processes that were there
last. All together keep to the rate as long as no more processes run than at the last answer.
"""

from __future__ import annotations

import math

from resilience._runtime.protocol import Call, Limiter, Permit, Sleep, Steps
from resilience.clock import Clock, current_clock
from resilience.fleet._lane import Lane, Waiting
from resilience.fleet._protocol import FleetStore, Stamp, Take, TakeReply
from resilience.policies._token_bucket import Bucket, Lock, Ticket

__all__ = ["FleetBucket"]

_WAIT = 0.1
"""The longest that a call waits for the answer of the store before it takes its place in the queue, in seconds."""
_AHEAD = 0.1
"""The seconds of which a batch covers the need."""
_LOOK_AGAIN = 0.05
"""The seconds after which a call at the head of the queue looks again, where it is not known when its tokens come."""


class FleetBucket(Bucket):
    """The part of a fleet's bucket that this process has leased.

    It owns the *leased* tokens, one batch that was booked ahead and is to be spent from a known time on, and the one
    request in flight. Calls take from *leased*; the queue of waiting calls is that of the base class. Its `tat` is not
    a bucket here, but the end of a server's Retry-After, which holds back the calls of this process.

    Calls enter it in any thread, the lane in its own. The reentrant `lock` guards all of it, and is released before a
    waiting call is woken.
    """

    __slots__ = ("_asked_at", "_asking", "_booked", "_lane", "_low", "_name", "_refilled_at", "_spent", "leased")

    def __init__(self, name: str, interval: float, burst: int, lock: Lock, lane: Lane) -> None:
        super().__init__(interval, burst, lock)
        self._name = name
        self._lane = lane
        #: The tokens that may be spent now; below 0 where a settled call has used more than there were.
        self.leased: float = 0.0
        #: Tokens that may be spent from then on.
        self._booked: tuple[float, float] | None = None
        self._asking: _AskTokens | None = None
        self._asked_at = -math.inf
        self._refilled_at = -math.inf
        #: Tokens that were spent since the last answer, and how many are few: then more are leased ahead.
        self._spent = 0.0
        self._low = 0.0
        lane.enrol_quota(self)

    # -- calls -------------------------------------------------------------------------------------------------------

    def limiter(self, cost: float) -> Limiter:
        """Return the limiter of calls that all take *cost* tokens."""
        return _LeasedTokens(self, cost)

    def try_acquire(self, cost: float = 1.0) -> bool:
        """Take *cost* tokens if they are leased and no call waits; return whether. Asks for more where they are few."""
        clock = current_clock()
        now = clock.now()
        with self.lock:
            self.use(clock)
            taken = self._take_if_free(cost, now)
            enough = taken and self.leased >= self._low
        if enough:
            return True
        asking = self._ask(cost, now)
        if not taken and asking is not None and asking.done:  # the store has answered at once
            with self.lock:
                taken = self._take_if_free(cost, now)
        return taken

    def prepare(self, call: Call, cost: float) -> Steps[None]:
        """Ask the store, where the tokens of *call* are not here, and wait a moment for its answer."""
        now = call.clock.now()
        with self.lock:
            self.use(call.clock)
            enough = self._has(cost, now)
        asking = None if enough else self._ask(cost, now)
        if asking is not None and not asking.done:
            left = min(_WAIT, call.due - now)
            if left > 0:
                yield Sleep(left, ended_by=asking.ringing)

    def available(self, now: float) -> float:
        """Return how many tokens are leased here."""
        return max(self.leased, 0.0)

    # -- under the lock ----------------------------------------------------------------------------------------------

    def use(self, clock: Clock) -> None:
        """Take times from *clock*; where that is another one, nothing is leased."""
        if clock is not self.clock:
            super().use(clock)
            self._forget()

    def begin_here(self, clock: Clock) -> None:
        """Go on in this process, by *clock*, with the booked tokens whose time has come."""
        super().begin_here(clock)
        self._mature(clock.now())

    def free_at(self, cost: float) -> float:
        """Return when a call can go that is the first in the queue, as far as is known; ask for its tokens."""
        now = self.clock.now()
        held = super().free_at(cost)
        if self._has(cost, now):
            return held
        self._ask(cost, now)
        return max(held, self._expected(cost, now))

    def turn(self, cost: float, now: float) -> float:
        """Return when a call can go that comes *now*, last in the queue, as far as is known; ask for its tokens."""
        needed = self.queued + max(cost, 0.0)
        held = super().free_at(cost)
        if not self.queue and not self._has(cost, now):
            self._ask(cost, now)
        if not self.queue and self._has(cost, now):
            return max(held, now)
        return max(held, self._expected(needed, now))

    def take(self, cost: float, now: float) -> int:
        """Take leased tokens, and return the epoch in which they may be given back."""
        self._take(cost)
        return self.epoch

    def change(self, tokens: float, epoch: int) -> None:
        """Give back *tokens* that were taken in *epoch*, or, below 0, owe them: the next batch pays."""
        if epoch == self.epoch or tokens < 0:
            self.leased += tokens

    def _take_if_free(self, cost: float, now: float) -> bool:
        """Take *cost* tokens if they are leased and no call waits; return whether."""
        if self.queue or not self._has(cost, now):
            return False
        self._take(cost)
        return True

    def _take(self, cost: float) -> None:
        """Take leased tokens, and count them as spent."""
        self.leased -= cost
        self._spent += cost

    def _has(self, cost: float, now: float) -> bool:
        """Whether *cost* tokens are leased, and no server's Retry-After holds back the calls."""
        self._mature(now)
        return self.leased >= cost and super().free_at(cost) <= now

    def _mature(self, now: float) -> None:
        """Add the booked tokens whose time has come; while the store is in trouble, those of the safe share.

        Under the lock. A booking more than two minutes ahead is one of another clock, and is added at once. The safe
        share fills up to this process's part of the burst, and to one token at least.
        """
        booked = self._booked
        if booked is not None and (booked[0] <= now or booked[0] > now + 2 * 60.0):
            self.leased += booked[1]
            self._booked = None
        if not self._lane.lost:
            self._refilled_at = now
            return
        nodes = self._lane.nodes
        most = max(1.0, self.depth / self.interval / nodes)
        gained = max(now - self._refilled_at, 0.0) / (self.interval * nodes)
        self._refilled_at = now
        if self.leased < most:
            self.leased = min(most, self.leased + gained)

    def _expected(self, needed: float, now: float) -> float:
        """Return when so many tokens are here, as far as is known."""
        lacking = max(needed - self.leased, 0.0)
        if self._lane.lost:
            return now + lacking * self.interval * self._lane.nodes
        if self._booked is None:
            return now + _LOOK_AGAIN
        at, tokens = self._booked
        return max(at, now) + max(lacking - tokens, 0.0) * self.interval

    def _forget(self) -> None:
        """Have nothing leased, booked or asked for."""
        self.leased, self._booked, self._asking, self._spent = 0.0, None, None, 0.0

    # -- the store ---------------------------------------------------------------------------------------------------

    def _ask(self, cost: float, now: float) -> _AskTokens | None:
        """Ask for tokens, unless that is under way; return the wait for the answer.

        The batch is what the queue and this call lack, and what a tenth of a second needs at the pace since the last
        request. Its *share*, to book where too few are there, is this process's part of a tenth of a second of the
        rate, and never less than the first call in the queue needs.
        """
        with self.lock:
            asking = self._asking
            if asking is not None or self._booked is not None or self._lane.lost:
                return asking
            lacking = max(self.queued + cost - self.leased, 1.0)
            elapsed = max(now - self._asked_at, 1e-3)
            ahead = self._spent / elapsed * _AHEAD
            least = max(1.0, math.ceil(max(cost, next(iter(self.queue.values()), 0.0)) - self.leased))
            share = max(least, math.floor(min(lacking, _AHEAD / self.interval / self._lane.nodes)))
            most = max(least, min(math.ceil(lacking + ahead), self.depth / self.interval))
            self._low = ahead / 2 if ahead >= 2 else 0.0
            self._asked_at, self._spent = now, 0.0
            asking = self._asking = _AskTokens(
                self, Take(self._name, self.interval, round(self.depth / self.interval), most, share, least)
            )
        self._lane.send(asking)
        self._lane.pump()
        return asking

    def leased_by(self, reply: TakeReply) -> None:
        """Take the answer of the store, and wake the call whose tokens are here."""
        with self.lock:
            self._asking = None
            self._lane.heard_of(reply.nodes)
            now = self.clock.now()
            if reply.tokens > 0:
                self._booked = (now + reply.wait, reply.tokens)
            self._mature(now)
            tickets = self.early()
        _ring(tickets)

    def not_leased(self) -> None:
        """Take note that the store is in trouble: calls go by the safe share."""
        with self.lock:
            self._asking = None
            tickets = self.early()
        _ring(tickets)

    def give_back(self) -> None:
        """Give back what is leased and was not needed for a while."""
        with self.lock:
            idle = self.clock.now() - self._asked_at > 1.0 and not self.queue and self._asking is None
            tokens = math.floor(self.leased)
            if not idle or tokens < 1:
                return
            self.leased -= tokens
        burst = round(self.depth / self.interval)
        self._lane.send(_GiveBack(Take(self._name, self.interval, burst, -tokens, 0, 0)))

    def forked(self) -> None:
        """Begin anew in a forked process: what is leased is the parent's."""
        self._forget()


class _LeasedTokens:
    """The leased tokens on the fast path, a `Limiter`: for calls that all take the same number."""

    __slots__ = ("_bucket", "_cost")

    leaves = False

    def __init__(self, bucket: FleetBucket, cost: float) -> None:
        self._bucket = bucket
        self._cost = cost

    def try_enter(self, permit: Permit, /) -> bool:
        """Take the tokens of a call if they are leased and no call waits; return whether."""
        return self._bucket.try_acquire(self._cost)

    def leave(self, permit: Permit, /) -> None:
        """Take nothing back: once the call is made, its tokens are spent."""


class _AskTokens(Waiting):
    """The request for a batch."""

    __slots__ = ("_bucket", "_take")

    def __init__(self, bucket: FleetBucket, take: Take) -> None:
        super().__init__()
        self._bucket = bucket
        self._take = take

    def perform(self, store: FleetStore, stamp: Stamp) -> None:
        """Ask for the batch, and hand it to the bucket."""
        self._bucket.leased_by(store.take(stamp, self._take))
        self.ring()

    def failed(self) -> None:
        """Let calls go by the safe share."""
        self._bucket.not_leased()
        self.ring()


class _GiveBack:
    """The return of tokens that were not needed."""

    __slots__ = ("_take",)

    def __init__(self, take: Take) -> None:
        self._take = take

    def perform(self, store: FleetStore, stamp: Stamp) -> None:
        """Give the tokens back."""
        store.take(stamp, self._take)

    def failed(self) -> None:
        """Do nothing: they are lost, which is no more than the rate."""


def _ring(tickets: list[Ticket]) -> None:
    """Wake the calls of *tickets*, not under a lock."""
    for ticket in tickets:
        ticket.ring()
