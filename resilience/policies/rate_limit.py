"""Rate limit: so many calls of a dependency in a time, for a quota that a server has set.

A call takes tokens from a bucket that fills at the rate (GCRA, see `_token_bucket`). One that finds too few waits for
them in turn; one that would wait longer than its caller is refused at once. When the server itself says that there were
too many calls, none goes before the time it asks for.

`RateLimit` is the policy. A call that finds its tokens takes them on the fast path (`FreeTokens`), unless there are
keys, or a function says the cost. `RateLimit.all_of` takes several limits together, `RateLimit.from_limits` has the
storages of the library `limits`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, TypedDict

from resilience._forks import fork_safe
from resilience._listeners import emit, has_listeners
from resilience._runtime.callables import is_async
from resilience._runtime.method_selection import MethodSelection, select_methods
from resilience._runtime.protocol import Call, Limiter
from resilience._safe_access import safe_getattr
from resilience._validation import given_options, optional, parse_count, parse_duration, parse_number, require
from resilience.classification._rate_limits import is_from_cache, requests_left
from resilience.classification.retry_hints import retry_after_of_result
from resilience.clock import current_clock
from resilience.policies._keyed import from_arguments, parse_key, state_of_call
from resilience.policies._keyed_buckets import KeyedBuckets
from resilience.policies._living import Living
from resilience.policies._rate import parse_rate
from resilience.policies._rate_limiting import Demand, RateLimiting, Reservation, held, reserve, take_at_once, ticket_of
from resilience.policies._token_bucket import Bucket, Lock

if TYPE_CHECKING:
    from resilience.policies.limits_library import LimitsRateLimit

__all__ = [
    "CombinedRateLimit",
    "RateLimit",
    "RateLimitSnapshot",
    "Reservation",
    "SharesQuotas",
    "rate_limit",
    "rate_limits",
]


def _parse_fleet(fleet: SharesQuotas, key: Callable[..., Hashable] | None) -> SharesQuotas:
    expected = "a fleet, made by resilience.fleet.Fleet('redis://cache:6379', name='shop')"
    require(callable(safe_getattr(fleet, "make_bucket")), "fleet", fleet, expected, TypeError)
    if key is not None:
        raise TypeError("fleet=, key=: a fleet shares one quota; give no key, or a limit of its own to each")
    return fleet


_BURST_SHARE = 10
_MAX_HOLD = 60.0


class SharesQuotas(Protocol):
    """A fleet, as far as rate limits know it: it makes the bucket of a quota that processes have in common."""

    def make_bucket(self, name: str, interval: float, burst: int, lock: Lock) -> Bucket:
        """Return the bucket of the quota called *name*: *burst* tokens, of which one comes back in *interval* s."""
        ...


class RateLimitSnapshot(TypedDict):
    """The load of a rate limit.

    *available* tokens of *burst* are there, and the next call can go in *wait* seconds; with keys, of the key that has
    the fewest. *queued* calls wait, and *rejected* were refused so far.
    """

    rate: str
    burst: int
    available: float
    wait: float
    queued: int
    rejected: int


class RateLimit(RateLimiting):
    """Make calls at a *rate* such as ``"500/min"``; let further ones wait in turn, and refuse those that cannot.

    Use it as a decorator of functions, methods, classes and generator functions, as a block, or in a `Pipeline`. One
    object counts the calls of all threads, event loops and trio together. In any *t* seconds it lets calls go that cost
    *burst* + rate * *t* in all, and no more. Waiting counts against the call's deadline. A stream pays once.

    Args:
        name: the dependency's name, for errors, events and logs.
        rate: a number of calls per unit of time: ``"10/s"``, ``"500/min"``, ``"1000/hour"``, ``"5/10s"``.
        burst: the calls that may go at once after a pause; a tenth of the rate's number, at least 1, unless given.
        cost: how many tokens a call takes, or a function of its arguments that says so; 1 unless given. At most
            *burst*. A call that costs 0 is not limited.
        max_wait: the longest wait for the tokens, in seconds; 0: none; unless given, up to the call's deadline.
        max_hold: the longest that a server's Retry-After holds back all calls, in seconds; 0: it does not.
        key: a function of the call's arguments: each key has a bucket, and a queue, of its own.
        max_keys: the keys that are kept; one whose bucket is full is forgotten before.
        only, exclude: the methods of a decorated class that are guarded, and no others; or that are left as they are.
        fleet: the fleet of processes that have this quota in common, by its *name*; not with *key*. See
            `resilience.fleet.Fleet`.

    A refused call raises `RateLimitedError`, of the category REJECTED: no circuit counts it, no retry repeats it at
    once. It is refused at once where its turn would come after *max_wait* or its deadline, and has the seconds to its
    turn in `retry_after`.

    A call that fails with the category RATE_LIMIT holds back all others until the Retry-After of the failure, or for
    the category's base wait (1 s) where it has none. Then they go one after the other at the rate: the burst has to
    come again. A hold ends at a moment that differs between processes by up to the interval of two calls.

    The queue is first in, first out, so that small calls do not starve a large one: it waits for its tokens, and those
    behind it wait for it. A call that is cancelled while it waits gives its place back.

    A call that finds its tokens costs less than a microsecond: the decorated function takes them by itself, without the
    policy being run. With *key*, a function for *cost*, or `all_of`, in blocks and around streams the policy is run,
    for some microseconds. A key takes 60 to 80 bytes while its bucket is not full, and nothing afterwards.

    Raises TypeError or ValueError, where it is written, for invalid options.

    >>> @rate_limit("geocoder", "10/s")
    ... def locate(city: str) -> tuple[float, float]:
    ...     return 52.5, 13.4
    >>> locate("Berlin")
    (52.5, 13.4)
    """

    def __init__(
        self,
        name: str,
        rate: str,
        *,
        burst: int | None = None,
        cost: float | Callable[..., float] | None = None,
        max_wait: float | timedelta | None = None,
        max_hold: float | timedelta = _MAX_HOLD,
        key: Callable[..., Hashable] | None = None,
        max_keys: int = 100_000,
        only: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        fleet: SharesQuotas | None = None,
    ) -> None:
        require(isinstance(name, str), "name", name, "the dependency's name as text, such as 'geocoder'", TypeError)
        require(bool(name.strip()), "name", name, "the dependency's name, such as 'geocoder'")
        parsed = parse_rate("rate", rate)
        self.name: str = name
        self.rate: str = parsed.text
        self.burst: int = max(1, parsed.calls // _BURST_SHARE)
        if burst is not None:
            self.burst = parse_count("burst", burst)
        self.cost: float | Callable[..., float] | None = cost
        self._cost = self._parse_constant(cost)
        self.max_wait: float | None = optional(_parse_wait, "max_wait", max_wait)
        self.max_hold: float = parse_duration("max_hold", max_hold, zero=True)
        self.methods: MethodSelection | None = select_methods(only, exclude)
        self.key: Callable[..., Hashable] | None = key
        optional(parse_key, "key", key)
        #: The number of calls that were refused. Threads may lose one to each other: it is for reading, no more.
        self.rejected: int = 0
        self._given_burst = burst
        # The collector may run while the lock is held, and with it a call's generator that leaves the queue.
        lock = fork_safe(threading.RLock())
        self._bucket = Bucket(parsed.interval, self.burst, lock)
        if fleet is not None:
            self._bucket = _parse_fleet(fleet, key).make_bucket(name, parsed.interval, self.burst, lock)
        self._keyed = KeyedBuckets(parsed.interval, self.burst, parse_count("max_keys", max_keys))
        if key is None and not callable(cost):
            self.fast_path: bool = True
            self.fast_path_limiter: Limiter | None = self._bucket.limiter(self._cost)
        _rate_limits.add(self)

    def _parse_constant(self, cost: float | Callable[..., float] | None) -> float:
        """Return the cost of each call; 1 where a function says it."""
        if cost is None:
            return 1.0
        if callable(cost):
            plain = "a number, or a plain function of the call's arguments; an async one is not awaited"
            require(not is_async(cost), "cost", cost, plain, TypeError)
            return 1.0
        return self._parse_cost(cost)

    def _parse_cost(self, cost: object, *, zero: bool = False) -> float:
        """Return a cost as a number. Raises ValueError for one above the burst: its tokens could never be there."""
        number = parse_number("cost", cost, _cost_expected(zero), least=0.0, above=not zero)
        if number > self.burst:
            raise ValueError(
                f"cost={cost!r}: give at most burst={self.burst}, or a larger burst: a call that costs more could"
                " never go"
            )
        return number

    # -- the call: `RateLimiting.run` -----------------------------------------------------------------------------

    def _demands(self, call: Call) -> Sequence[Demand]:
        bucket, cost = self._bucket, self._cost
        if self.key is not None:
            bucket = state_of_call(self._keyed.of, call, self.key, self._title)
        if callable(self.cost):
            cost = from_arguments(call, self._cost_of, "cost", self._title)
        if cost == 0:
            return []
        return [Demand(self, bucket, cost)]

    def _cost_of(self, *arguments: object, **keywords: object) -> float:
        assert callable(self.cost)
        return self._parse_cost(self.cost(*arguments, **keywords), zero=True)

    def _title(self) -> str:
        return f"rate limit {self.name!r}"

    def _hold(self, bucket: Bucket, seconds: float) -> float:
        """Have no call of *bucket* go for so many seconds, at most *max_hold*; return how many.

        A share of an interval is added at random: processes that one server has asked to wait do not come back at the
        same moment.
        """
        wait = min(seconds, self.max_hold)
        if wait > 0:
            bucket.hold(wait + current_clock().random() * bucket.interval)
        return wait

    def continuing(self, before: RateLimit) -> Callable[[], None]:
        """Return what takes over the tokens that are gone from *before*, once that is to happen. Neither has a key."""
        self.rejected = before.rejected
        return lambda: self._bucket.continue_from(before._bucket)

    # -- by hand -------------------------------------------------------------------------------------------------

    def try_acquire(self, cost: float = 1.0, *, key: Hashable = None) -> bool:
        """Take *cost* tokens if they are there and no call waits for them; return whether. Never waits.

        *key* is that of the bucket where the limit has a ``key=``. Raises ValueError for a cost above the burst.

        >>> geocoder = rate_limit("geocoder", "10/s", burst=2)
        >>> geocoder.try_acquire(), geocoder.try_acquire(), geocoder.try_acquire()
        (True, True, False)
        """
        if cost != 1.0:
            cost = self._parse_cost(cost)
        return self._bucket_of(key).try_acquire(cost)

    def reserve(self, cost: float = 1.0, *, key: Hashable = None) -> Reservation:
        """Take *cost* tokens at once, for something whose cost is known only afterwards; then `Reservation.settle`.

        Raises RateLimitedError where they are not there, with the time in `retry_after`; ValueError for a cost above
        the burst.

        >>> tokens = rate_limit("model", "90000/min")
        >>> reservation = tokens.reserve(1200)
        >>> reservation.settle(873)
        >>> tokens.snapshot()["available"] > 8100
        True
        """
        return reserve([self._demand(cost, key)])

    def _demand(self, cost: float, key: Hashable) -> Demand:
        return Demand(self, self._bucket_of(key), self._parse_cost(cost))

    def observe(self, response: object, *, key: Hashable = None) -> None:
        """Read what a server says of its limit in the headers of *response*, of any client, and keep to it.

        A Retry-After holds back all calls, up to *max_hold*; so does a limit of which nothing is left, until it is
        reset. Where fewer requests are left than tokens, that many tokens are left (only where calls cost 1). The
        headers are `Retry-After`, `RateLimit` with `RateLimit-Policy`, `X-RateLimit-*` and their like. A response that
        a cache has kept (it has an `Age`) says nothing of now. Never raises for what a response says.
        """
        if is_from_cache(response):
            return
        bucket = self._bucket_of(key)
        left = requests_left(response)
        if left is not None and self.cost is None:
            bucket.keep_at_most(float(left))
        wait = self._hold(bucket, retry_after_of_result(response) or 0.0)
        if wait > 0 and has_listeners():
            emit(held(self.name, self.name, wait))

    def _bucket_of(self, key: Hashable) -> Bucket:
        if self.key is None and key is None:
            return self._bucket
        if self.key is None:
            raise TypeError(f"key={key!r}: give none, {self._title()} has no key=")
        if key is None:
            raise TypeError(f"key=None: give the key of a bucket, {self._title()} has one for each")
        return self._keyed.of(key)

    def _key_of(self, key: Hashable) -> Hashable:
        """Return *key* where the limit has one, for a limit that is one of several."""
        if self.key is None:
            return None
        return key

    @staticmethod
    def all_of(*limits: RateLimit) -> CombinedRateLimit:
        """Return a policy that takes the tokens of several limits together: of all of them, or of none.

        Raises TypeError for what is no `RateLimit`, ValueError for fewer than two, or one that is given twice.

        >>> both = rate_limit.all_of(rate_limit("bursts", "10/s", burst=2), rate_limit("days", "1000/day"))
        >>> both.try_acquire(), both.try_acquire(), both.try_acquire()
        (True, True, False)
        """
        return CombinedRateLimit(*limits)

    @staticmethod
    def from_limits(
        limiter: object,
        rate: object,
        *,
        name: str = "limits",
        cost: int = 1,
        max_wait: float | timedelta | None = None,
        key: Callable[..., Hashable] | None = None,
    ) -> LimitsRateLimit:
        """Return a policy that counts in a storage of the library ``limits``: Redis, Memcached, MongoDB, memory.

        *limiter* is one of its strategies, *rate* a text such as ``"10/minute"`` or a `RateLimitItem`. See
        `LimitsRateLimit`. Raises TypeError or ValueError for invalid options.

            from limits.storage import RedisStorage
            from limits.strategies import MovingWindowRateLimiter

            strategy = MovingWindowRateLimiter(RedisStorage("redis://cache:6379"))
            shared = rate_limit.from_limits(strategy, "500/minute", name="catalogue", max_wait=2)
        """
        from resilience.policies.limits_library import LimitsRateLimit

        return LimitsRateLimit(limiter, rate, name=name, cost=cost, max_wait=max_wait, key=key)

    # -- what is known of it -------------------------------------------------------------------------------------

    def snapshot(self) -> RateLimitSnapshot:
        """Return the load now; with keys, that of the key that has the fewest tokens.

        >>> rate_limit("geocoder", "10/s", burst=5).snapshot()
        {'rate': '10/s', 'burst': 5, 'available': 5.0, 'wait': 0.0, 'queued': 0, 'rejected': 0}
        """
        bucket = self._bucket
        if self.key is not None:
            bucket = self._keyed.emptiest()
        now = bucket.clock.now()
        return {
            "rate": self.rate,
            "burst": self.burst,
            "available": bucket.available(now),
            "wait": max(0.0, bucket.free_at(1.0) - now),
            "queued": sum(each.waiting for each in (self._bucket, *self._keyed.in_use())),
            "rejected": self.rejected,
        }

    def _load(self, bucket: Bucket) -> str:
        """Return the load of a bucket in words."""
        available = bucket.available(bucket.clock.now())
        return f"{self._title()} {available:.4g} of {self.burst} tokens, {bucket.waiting} queued"

    def __str__(self) -> str:
        options = given_options(burst=self._given_burst, cost=self.cost, max_wait=self.max_wait)
        if self.max_hold != _MAX_HOLD:
            options["max_hold"] = self.max_hold
        shown = [f"{name}={_shown(value)}" for name, value in options.items()]
        per_key = "" if self.key is None else " per key"
        return f"rate_limit({', '.join([repr(self.name), repr(self.rate), *shown])}){per_key}"


class CombinedRateLimit(RateLimiting):
    """Takes the tokens of several limits together, all or none, for each call. See `RateLimit.all_of`.

    A call waits until all have its tokens, and takes them at that moment. Meanwhile it keeps its place in the queue of
    each: calls that use one of the limits alone wait behind it. The shortest *max_wait* of the limits counts. A failure
    with the category RATE_LIMIT holds the fastest limit, and so all calls.
    """

    def __init__(self, *limits: RateLimit) -> None:
        for limit in limits:
            expected = "rate limits, such as rate_limit('days', '1000/day')"
            require(isinstance(limit, RateLimit), "limits", limit, expected, TypeError)
            require(limit.methods is None, "limits", limit, "a limit without only= and exclude=", TypeError)
        names = [limit.name for limit in limits]
        require(len(set(names)) == len(names) > 1, "limits", names, "two or more, each with a name of its own")
        self.limits: tuple[RateLimit, ...] = limits
        waits = [limit.max_wait for limit in limits if limit.max_wait is not None]
        self.max_wait: float | None = min(waits, default=None)

    def _demands(self, call: Call) -> Sequence[Demand]:
        return [demand for limit in self.limits for demand in limit._demands(call)]

    def _by_hand(self, costs: Sequence[float], key: Hashable) -> Sequence[Demand]:
        """Return what something takes of each limit: one token, or the number at its place in *costs*."""
        given = costs or [1.0] * len(self.limits)
        expected = f"{len(self.limits)} numbers, one for each limit"
        require(len(given) == len(self.limits), "costs", costs, expected, TypeError)
        pairs = zip(self.limits, given, strict=True)
        return [limit._demand(cost, limit._key_of(key)) for limit, cost in pairs]

    def try_acquire(self, *costs: float, key: Hashable = None) -> bool:
        """Take tokens of all limits, or of none; return whether. One of each, or as many as *costs* say in their order.

        *key* is that of the limits that have a ``key=``.
        """
        return take_at_once(ticket_of(self._by_hand(costs, key)), current_clock())

    def reserve(self, *costs: float, key: Hashable = None) -> Reservation:
        """Take tokens as `try_acquire` does, and settle later. Raises RateLimitedError where one limit has too few."""
        return reserve(self._by_hand(costs, key))

    def observe(self, response: object, *, key: Hashable = None) -> None:
        """Have the fastest limit keep to what a server says in the headers of *response*, see `RateLimit.observe`."""
        fastest = min(self.limits, key=_interval_of)
        fastest.observe(response, key=fastest._key_of(key))

    def snapshot(self) -> dict[str, RateLimitSnapshot]:
        """Return the load of each limit by its name."""
        return {limit.name: limit.snapshot() for limit in self.limits}

    def __str__(self) -> str:
        return f"rate_limit.all_of({', '.join(map(str, self.limits))})"


def _interval_of(limit: RateLimit) -> float:
    return limit._bucket.interval


def _cost_expected(zero: bool) -> str:
    lowest = "more than 0"
    if zero:
        lowest = "0 or more"
    return f"a number of {lowest}, or a function of the call's arguments that returns one"


def _parse_wait(parameter: str, value: object) -> float:
    return parse_duration(parameter, value, zero=True)


def _shown(value: object) -> str:
    if isinstance(value, int | float):
        return f"{value:g}"
    return getattr(value, "__qualname__", type(value).__name__)


_rate_limits = Living[RateLimit]()


def rate_limits() -> list[RateLimit]:
    """Return all rate limits of this process, for the admin page."""
    return _rate_limits.all()


rate_limit = RateLimit
"""The rate limit, as a decorator is named."""
