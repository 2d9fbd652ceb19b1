"""Client-side throttling: send less to a dependency that accepts less, before it has to reject what is sent.

A server that is overloaded spends what it has left on rejecting requests. Its clients know as well as it does how much
it accepts, so each of them stops a share of its requests itself. The law is that of Google's book *Site Reliability
Engineering*, chapter 21:

    p = max(0, (requests - k * accepts) / (requests + 1))

`Throttle` is the policy, and `_Traffic` the counts it decides by; with ``key=`` there is one `_Traffic` for each key.
"""

from __future__ import annotations

import functools
import math
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from typing import TypedDict

from resilience._forks import fork_safe
from resilience._listeners import has_listeners
from resilience._outcome import Outcome
from resilience._priority_context import Rank, current_rank
from resilience._runtime.cut_off import AbandonWatch, CutOff
from resilience._runtime.method_selection import MethodSelection, select_methods
from resilience._runtime.protocol import PROCEED, Call, Emit
from resilience._runtime.worst_case import WorstCase
from resilience._validation import optional, parse_count, parse_duration, parse_number, require
from resilience.categories import ErrorCategory
from resilience.classification.classifier import category_of
from resilience.clock import current_clock
from resilience.errors.base import ThrottledError
from resilience.policies._keyed import Keyed, parse_key
from resilience.policies._living import Living
from resilience.policies._priority_mix import PriorityMix
from resilience.policies.base import Policy, Steps
from resilience.profiles import profile_for

__all__ = ["Throttle", "ThrottleSnapshot", "throttle", "throttles"]

_K, _WINDOW = 2.0, 30.0
_BUCKETS = 10
_MIN_REQUESTS = 10  # of fewer the law makes too much: it would reject half of the calls after a first failure
_PROBE_AFTER = 1.0  # a request goes through at least as often, or a recovery would not be seen
_OUTAGE = 5.0  # after so long without an accepted request, the next one ends an outage


class ThrottleSnapshot(TypedDict):
    """The counts of a throttle: requests and accepted ones of the window, the share it rejects, and how many so far."""

    requests: int
    accepts: int
    share: float
    rejected: int


class _Bucket:
    """The requests of a tenth of the window, which begins at *begin*: made or rejected here, and accepted."""

    __slots__ = ("accepts", "begin", "requests")

    def __init__(self, begin: float) -> None:
        self.begin = begin
        self.requests = 0
        self.accepts = 0


class _Traffic:
    """The requests of the last *window* seconds, and how many of them the dependency has accepted.

    A request is counted once its outcome is known, one that is rejected here at once. The throttle's lock protects all
    of it.
    """

    __slots__ = ("accepted_at", "accepts", "admitted_at", "buckets", "k", "mix", "rejected", "requests", "window")

    def __init__(self, k: float, window: float) -> None:
        self.k = k
        self.window = window
        self.buckets: deque[_Bucket] = deque()
        self.mix = PriorityMix()
        self.requests = self.accepts = 0
        #: Requests that were rejected here, of all time.
        self.rejected = 0
        self.admitted_at = self.accepted_at = -math.inf

    def share(self, now: float) -> float:
        """Return the share of the requests that is to be rejected *now*."""
        self._forget(now)
        if self.requests < _MIN_REQUESTS:
            return 0.0
        return max(0.0, (self.requests - self.k * self.accepts) / (self.requests + 1))

    def admits(self, now: float, chance: float, rank: Rank) -> bool:
        """Whether a request of that *rank* goes through *now*, by *chance*, uniform in [0, 1); if not, count it."""
        share = self.share(now)
        if share:
            share = self.mix.share_for(rank, share)
        else:
            self.mix.clear()
        if chance >= share or not now - _PROBE_AFTER < self.admitted_at <= now:
            self.admitted_at = now
            return True
        self.rejected += 1
        self._bucket(now).requests += 1
        self.requests += 1
        return False

    def next_probe_in(self, now: float) -> float:
        """Return after how many seconds a request goes through whatever chance says."""
        return max(0.0, self.admitted_at + _PROBE_AFTER - now)

    def record(self, now: float, *, accepted: bool) -> None:
        """Count a request that the dependency has *accepted*, or has not.

        After an outage the first one that it accepts has everything before it forgotten. The law alone would reject
        nearly all for as long as its window remembers, and longer, since what it rejects counts as well.
        """
        if accepted and not now - _OUTAGE < self.accepted_at <= now:
            self._clear()
        bucket = self._bucket(now)
        bucket.requests += 1
        self.requests += 1
        if accepted:
            self.accepted_at = now
            bucket.accepts += 1
            self.accepts += 1

    def _bucket(self, now: float) -> _Bucket:
        self._forget(now)
        if not self.buckets or now >= self.buckets[-1].begin + self.window / _BUCKETS:
            self.buckets.append(_Bucket(now))
        return self.buckets[-1]

    def _forget(self, now: float) -> None:
        if self.buckets and self.buckets[-1].begin > now:  # the clock was set back: the buckets are another clock's
            self._clear()
        while self.buckets and self.buckets[0].begin + self.window <= now:
            oldest = self.buckets.popleft()
            self.requests -= oldest.requests
            self.accepts -= oldest.accepts

    def _clear(self) -> None:
        self.buckets.clear()
        self.requests = self.accepts = 0


class Throttle(Policy):
    """Reject a growing share of the calls here, while the dependency accepts few of those that are made.

    Use it as a decorator of functions, methods, classes and generator functions, as a block, or in a `Pipeline`. One
    object counts the calls of all threads, event loops and trio together.

    A call is a request. The dependency has accepted it where it succeeds, or fails by what was asked
    (``ErrorCategory.CLIENT_ERROR``); it has not where the failure says that it is overloaded: TIMEOUT, RATE_LIMIT,
    UNAVAILABLE, CAPACITY, and the time limits and deadlines around the throttle. Other failures say nothing of its
    load and are not counted, nor are rejections of policies inside. What the throttle rejects counts as a request.

    With *k* = 2 a call is rejected only where the dependency accepts less than half of the last *window* seconds'
    calls, 10 at least: it then gets about twice as many as it accepts. Where it accepts less than 1 / *k* of them the
    throttle rejects nearly all calls, as what it rejects counts, too: it is a circuit breaker then. A request is
    admitted every second at least. The first one that is accepted after an outage, 5 seconds without any, has the
    outage forgotten. The share is taken from the calls of the lowest `priority` first.

    Args:
        name: The dependency's name, for errors, events and logs.
        k: How many requests are made for each that is accepted; more than 1. Less saves the dependency more work, and
            rejects calls that it would have accepted.
        window: The seconds whose requests count.
        key: A function of the call's arguments: each key is throttled by itself.
        max_keys: The keys that are kept; of those that reject nothing the one unused for longest is dropped.
        only: The names of the methods of a decorated class that are guarded, and no others.
        exclude: The names of its methods that are left as they are.

    A rejected call raises `ThrottledError`, of the category REJECTED: no circuit counts it, no retry repeats it at
    once. Raises TypeError or ValueError, where it is written, for invalid options.

    >>> @throttle("payments")
    ... def charge(order: str) -> str:
    ...     return "paid"
    >>> charge("a-17")
    'paid'
    """

    guards_local_methods = False

    def __init__(
        self,
        name: str,
        *,
        k: float = _K,
        window: float | timedelta = _WINDOW,
        key: Callable[..., Hashable] | None = None,
        max_keys: int = 1024,
        only: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        require(isinstance(name, str), "name", name, "the dependency's name as text, such as 'payments'", TypeError)
        require(bool(name.strip()), "name", name, "the dependency's name, such as 'payments'")
        expected = "a number of more than 1, such as 2: the requests made for each that is accepted"
        self.name: str = name
        self.k: float = parse_number("k", k, expected, least=1.0, above=True)
        self.window: float = parse_duration("window", window)
        self.methods: MethodSelection | None = select_methods(only, exclude)
        self.key: Callable[..., Hashable] | None = key
        optional(parse_key, "key", key)
        # The collector may run while it is held, and with it a destructor that calls.
        self._lock = fork_safe(threading.RLock())
        self._traffic = self._new_traffic()  # without a key all calls count here
        self._keyed = Keyed(self._new_traffic, parse_count("max_keys", max_keys), self._may_evict, self._title)
        _throttles.add(self)

    def continuing(self, before: Throttle) -> Callable[[], None]:
        """Take over the traffic of *before*; return what gives it the options of this throttle, once that is to happen.

        Neither has a key. Where the window changes, what was counted is kept for as long as the new one says.
        """
        self._lock, self._traffic = before._lock, before._traffic

        def apply() -> None:
            with self._lock:
                self._traffic.k, self._traffic.window = self.k, self.window

        return apply

    def _new_traffic(self) -> _Traffic:
        return _Traffic(self.k, self.window)

    def _may_evict(self, traffic: _Traffic) -> bool:
        with self._lock:
            return not traffic.share(current_clock().now())

    def _title(self) -> str:
        return f"throttle {self.name!r}"

    # -- the call ------------------------------------------------------------------------------------------------

    def run(self, call: Call) -> Steps:
        """Make *call*, or reject it by chance; count whether the dependency has accepted it."""
        traffic = self._traffic
        if self.key is not None:
            try:
                traffic = self._keyed.of_call(call, self.key)
            except Exception as error:  # of the key, or of its function
                return Outcome.failed(error)
        call.notes[self] = traffic
        rejection = self._rejection(traffic, call)
        if rejection is not None:
            return (yield from self._reject(rejection, call))
        watch = call.on_abandoned(functools.partial(self._record, traffic, call, accepted=False))
        finished = counted = False
        try:
            outcome: Outcome = yield PROCEED
            finished = True
        finally:
            counted = _was_left(watch)
            if not finished and not counted and call.cut_off is CutOff.TIMED_OUT:
                self._record(traffic, call, accepted=False)
        if not counted:
            self._record_outcome(traffic, call, outcome)
        return outcome

    def _rejection(self, traffic: _Traffic, call: Call) -> ThrottledError | None:
        now, chance = call.clock.now(), call.clock.random()
        with self._lock:
            share = traffic.share(now)
            if traffic.admits(now, chance, current_rank()):
                return None
            return ThrottledError(self.name, share, traffic.next_probe_in(now))

    def _reject(self, error: ThrottledError, call: Call) -> Steps:
        if has_listeners():
            from resilience.events import CallRejected

            wait = error.retry_after or 0.0
            yield Emit(CallRejected(target=call.target, policy=self.name, retry_after=wait, kind="throttle"))
        return Outcome.failed(error)

    def _record_outcome(self, traffic: _Traffic, call: Call, outcome: Outcome) -> None:
        if outcome.error is None:
            self._record(traffic, call, accepted=True)
            return
        category = category_of(outcome)
        if profile_for(category).pressure:
            self._record(traffic, call, accepted=False)
        elif category in ErrorCategory.CLIENT_ERROR:
            self._record(traffic, call, accepted=True)

    def _record(self, traffic: _Traffic, call: Call, *, accepted: bool) -> None:
        with self._lock:
            traffic.record(call.clock.now(), accepted=accepted)

    # -- what is known of it -------------------------------------------------------------------------------------

    def snapshot(self) -> ThrottleSnapshot:
        """Return the counts now, of all keys together; the share is that of the key that rejects most.

        >>> throttle("payments").snapshot()
        {'requests': 0, 'accepts': 0, 'share': 0.0, 'rejected': 0}
        """
        now = current_clock().now()
        counts = [self._traffic, *(traffic for _, traffic in self._keyed.items())]
        with self._lock:
            share = max(each.share(now) for each in counts)  # first: it forgets what is too old
            return {
                "requests": sum(each.requests for each in counts),
                "accepts": sum(each.accepts for each in counts),
                "share": share,
                "rejected": sum(each.rejected for each in counts),
            }

    def status(self, call: Call) -> str | None:
        """Return the share that is rejected, for the note of a failed call."""
        traffic = call.notes.get(self)
        if not isinstance(traffic, _Traffic):  # the call did not get so far
            return None
        with self._lock:
            share = traffic.share(call.clock.now())
        return f"{self._title()} rejects {share:.0%} of the calls"

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return *inside*: a throttle makes no call a second time, and waits for nothing."""
        return inside

    def __str__(self) -> str:
        options = (("k", self.k, _K), ("window", self.window, _WINDOW))
        shown = [f"{name}={value:g}" for name, value, default in options if value != default]
        per_key = "" if self.key is None else " per key"
        return f"throttle({', '.join([repr(self.name), *shown])}){per_key}"

    def __repr__(self) -> str:
        return f"<{self}>"


def _was_left(watch: AbandonWatch | None) -> bool:
    """Whether the caller has left the thread of the call, which was counted then as a time-out."""
    return watch is not None and not watch.end()


_throttles = Living[Throttle]()


def throttles() -> list[Throttle]:
    """Return all throttles of this process, for the admin page."""
    return _throttles.all()


throttle = Throttle
"""The throttle, as a decorator is named."""
