"""The way of a call through rate limits: it takes its tokens, waits for them or is refused, and learns of a hold.

`RateLimiting` is the base of a single limit and of several that are taken together. A policy of it names the buckets of
a call, and how many tokens it takes of each, as `Demand`; all else is the same for both.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from resilience._outcome import Outcome
from resilience._runtime.place import Place
from resilience._runtime.protocol import PROCEED, Call, Sleep, Steps
from resilience._runtime.worst_case import WorstCase
from resilience._validation import parse_number
from resilience.categories import ErrorCategory
from resilience.classification.classifier import classify
from resilience.classification.retry_hints import retry_after
from resilience.clock import Clock, current_clock
from resilience.errors.base import RateLimitedError
from resilience.policies._announce import announce
from resilience.policies._token_bucket import Booking, Bucket, Ticket
from resilience.policies.base import Policy
from resilience.profiles import profile_for
from resilience.settings import NO_WAITS

if TYPE_CHECKING:
    from resilience.events import CallRejected, RateLimitHeld

__all__ = [
    "Demand",
    "Limit",
    "RateLimiting",
    "Reservation",
    "held",
    "latest_start",
    "rejected",
    "reserve",
    "take_at_once",
    "ticket_of",
    "worst_wait",
]


class Limit(Protocol):
    """One rate limit, as calls through several see it."""

    name: str
    rate: str
    #: The number of calls that were refused.
    rejected: int

    def _hold(self, bucket: Bucket, seconds: float) -> float:
        """Have no call of *bucket* go for so many seconds, as far as the limit allows; return how many."""
        ...

    def _load(self, bucket: Bucket) -> str:
        """Return the load of *bucket* in words."""
        ...


class Demand(NamedTuple):
    """So many tokens of a limit's bucket, for one call.

    A call through several limits has one of each. The limit stands beside its bucket for what is said to the caller:
    the name in an error, the load in a note, the longest hold.
    """

    limit: Limit
    bucket: Bucket
    cost: float


class Reservation:
    """Tokens that were taken for something whose cost is known only afterwards. See `RateLimit.reserve`.

    A reservation that is never settled has taken what was reserved.
    """

    __slots__ = ("_ticket",)

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket

    def settle(self, *used: float) -> None:
        """Say how many tokens were *used*: the rest is paid back, and what was not reserved is charged.

        A charge may leave the bucket in debt: later calls wait for it. Of several limits give a number for each. May be
        called again with a later figure. Tokens that a full bucket has by now, or that a server's Retry-After has taken
        away, are not paid back.

        Raises TypeError or ValueError for what is no number of 0 or more.
        """
        expected = f"{len(self._ticket.bookings)} number(s) of tokens, each 0 or more"
        if len(used) != len(self._ticket.bookings):
            raise TypeError(f"used={used!r}: give {expected}")
        self._ticket.settle([parse_number("used", each, expected, least=0.0) for each in used])

    def __repr__(self) -> str:
        costs = ", ".join(f"{booking.cost:g}" for booking in self._ticket.bookings)
        return f"<Reservation of {costs}>"


class RateLimiting(Policy):
    """Makes a call once it has its tokens. What makes it one limit or several is in the subclass.

    A call that finds its tokens takes them and goes. Any other joins the queue of its buckets by a `Ticket`, and sleeps
    until its turn; the sleep ends early where the turn has changed. Whatever ends the call before it is made (a
    cancellation, Ctrl-C, a limit outside) gives back its place, or its tokens. Once it is made they are spent, however
    it ends.
    """

    place: Place | None = Place.RATE_LIMIT
    guards_local_methods = False
    max_wait: float | None = None

    @abc.abstractmethod
    def _demands(self, call: Call) -> Sequence[Demand]:
        """Return what *call* takes; nothing where it costs nothing. Raises what a user's function raises."""
        raise NotImplementedError

    def run(self, call: Call) -> Steps[Outcome]:
        """Make *call* with its tokens; wait for them, or refuse the call. A failure may hold back later calls."""
        try:
            demands = self._demands(call)
        except Exception as error:  # of key= or cost=
            return Outcome.failed(error)
        call.notes[self] = demands
        # A call that the fast path has admitted has its tokens; or needs none, as a circuit inside has rejected it.
        if demands and not call.admitted:
            refusal = yield from self._admit(call, demands)
            if refusal is not None:
                return refusal
        outcome: Outcome = yield PROCEED
        if outcome.error is not None and demands and classify(outcome.error) in ErrorCategory.RATE_LIMIT:
            yield from _hold(call, demands, outcome.error)
        return outcome

    def _admit(self, call: Call, demands: Sequence[Demand]) -> Steps[Outcome | None]:
        """Take the tokens; wait for them, in turn. Return the outcome of a call that would wait for too long.

        Under `resilience.testing.no_waits` a call that would wait goes at once, and takes nothing: the time that it
        would have waited has not passed, so its tokens would be missing later.
        """
        if len(demands) == 1 and demands[0].bucket.try_acquire(demands[0].cost):
            return None
        for _, bucket, cost in demands:
            yield from bucket.prepare(call, cost)
        clock, ticket = call.clock, ticket_of(demands)
        latest = latest_start(call, self.max_wait)
        try:
            late = not ticket.join(clock, latest)
            now = clock.now()
            while not late and not ticket.claim(now):
                wait = ticket.wait(now)
                late = now + wait > latest
                if NO_WAITS.is_on():  # the tokens that time would have brought are not counted
                    ticket.leave()
                    break
                if not late:
                    yield Sleep(wait, ended_by=ticket.ringing)
                    now = _awake_at(clock, ticket)
        except BaseException:  # cancelled, or interrupted
            ticket.leave()
            raise
        if not late:
            return None
        ticket.leave()
        error = _refusal_of(demands, clock, ticket)
        yield from announce(rejected, call.target, error)
        return Outcome.failed(error)

    def status(self, call: Call) -> str | None:
        """Return how many tokens the limits of the call have, for its note."""
        demands = cast("Sequence[Demand]", call.notes.get(self, ()))
        if not demands:  # the call did not get so far, or costs nothing
            return None
        return ", ".join(limit._load(bucket) for limit, bucket, _ in demands)

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return *inside*, after the longest wait for tokens: without *max_wait* any time, up to the deadline."""
        return worst_wait(inside, self.max_wait)

    def __repr__(self) -> str:
        return f"<{self}>"


def latest_start(call: Call, max_wait: float | None) -> float:
    """Return when *call* must begin at the latest, by its clock: after *max_wait*, and before its deadline."""
    before_deadline = math.nextafter(call.due, -math.inf)
    if max_wait is None:
        return before_deadline
    return min(call.clock.now() + max_wait, before_deadline)


def worst_wait(inside: WorstCase, max_wait: float | None) -> WorstCase:
    """Return the worst case *inside*, after a wait of *max_wait*; None: of any time."""
    if max_wait is None:
        max_wait = math.inf
    return inside._replace(waits=inside.waits + max_wait, seconds=inside.seconds + max_wait)


def take_at_once(ticket: Ticket, clock: Clock) -> bool:
    """Take the tokens of a ticket where they are there and no call waits for them; return whether."""
    now = clock.now()
    if ticket.join(clock, now) and ticket.claim(now):
        return True
    ticket.leave()
    return False


def reserve(demands: Sequence[Demand]) -> Reservation:
    """Take tokens at once, for something whose cost is settled later.

    Raises RateLimitedError where they are not there, or calls wait for them.
    """
    clock, ticket = current_clock(), ticket_of(demands)
    if take_at_once(ticket, clock):
        return Reservation(ticket)
    raise _refusal_of(demands, clock, ticket)


def ticket_of(demands: Sequence[Demand]) -> Ticket:
    """Return the ticket of a call: its place in the queues of all its buckets."""
    return Ticket([Booking(bucket, cost) for _, bucket, cost in demands])


def _refusal_of(demands: Sequence[Demand], clock: Clock, ticket: Ticket) -> RateLimitedError:
    """Return the error of a refused call: by the limit that it would have to wait for longest. It counts there."""
    now = clock.now()
    limit, _, cost = max(demands, key=lambda demand: demand.bucket.turn(demand.cost, now))
    limit.rejected += 1
    return RateLimitedError(limit.name, limit.rate, cost, max(0.0, ticket.turn - now))


def rejected(target: str, error: RateLimitedError) -> CallRejected:
    """Return the event of a refused call."""
    from resilience.events import CallRejected

    wait = error.retry_after or 0.0
    return CallRejected(target=target, policy=error.name, retry_after=wait, kind="rate_limit")


def held(target: str, policy: str, wait: float) -> RateLimitHeld:
    """Return the event of a hold."""
    from resilience.events import RateLimitHeld

    return RateLimitHeld(target=target, policy=policy, wait=wait)


def _hold(call: Call, demands: Sequence[Demand], error: Exception) -> Steps[None]:
    """Let no call go before the time that the server asks for; where it asks for none, for the category's base wait.

    Of several limits that are taken together the fastest is held. That keeps the calls from all of them, and leaves
    a limit of a day its tokens.
    """
    limit, bucket, _ = min(demands, key=_interval_of)
    seconds = retry_after(error)
    if seconds is None:
        seconds = profile_for(ErrorCategory.RATE_LIMIT).base or 0.0
    wait = limit._hold(bucket, seconds)
    if wait > 0:
        yield from announce(held, call.target, limit.name, wait)


def _awake_at(clock: Clock, ticket: Ticket) -> float:
    """Return the time after a sleep. One that nothing has ended is over at the turn, whatever a timer has rounded."""
    if ticket.rung:
        return clock.now()
    return max(clock.now(), ticket.turn)


def _interval_of(demand: Demand) -> float:
    return demand.bucket.interval
