"""Advice for a function's stack, with reasons: pools, limits, time limits, attempts, a budget, and the largest load.

Each advice is a formula over the scenario and the stack, and says which. The numbers are starting points: what a model
with one queue can know.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

from resilience.simulation._callers import not_screened
from resilience.simulation._scenario import Scenario
from resilience.simulation._screen import Callers, Server, settle
from resilience.simulation._screening import callers_in, server_of

__all__ = ["Advice", "advise", "largest_load"]

#: Standard deviations above the mean number of calls in flight that a pool should hold: 99.9 % of the time.
_PEAK = 3.0
#: The share of the capacity that a plan should use: the rest is for deploys, a lost machine and error in the numbers.
_PLANNED = 0.8
#: The quantile of the latency that a time limit should not cut off.
_PATIENT = 0.999
_EXACT = 1.005


@dataclasses.dataclass(frozen=True, slots=True)
class Advice:
    """One piece of advice: the *subject*, what the function has *now*, what to *set*, and the *reason*."""

    subject: str
    now: str
    set: str
    reason: str

    @property
    def is_change(self) -> bool:
        """Whether it says anything else than to keep what there is."""
        return self.set != "keep it"

    def __str__(self) -> str:
        return f"{self.subject}: {self.now}; {self.set}. {self.reason}"

    def to_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return dataclasses.asdict(self)


def advise(function: Callable[..., object], scenario: Scenario) -> Sequence[Advice]:
    """Return advice for *function* in *scenario*, in the order of a stack: what limits it, and what it can carry.

    Raises TypeError for a function that no policy guards.

    >>> from resilience import retry_on_category, timeout
    >>> @retry_on_category(attempts=3)
    ... @timeout(1.0)
    ... def search(query: str) -> str:
    ...     return query
    >>> for advice in advise(search, Scenario(rps=1000, capacity=2400, clients=100)):
    ...     print(f"{advice.subject}: {advice.set}")
    pool: 3 connections for each client
    time limit: keep it
    attempts: keep it, with a budget
    budget: RetryBudget(tokens=14, reserve=1)
    concurrency limit: bulkhead limit 12
    largest load: plan for 799 calls a second
    """
    server, callers = server_of(scenario), callers_in(function, scenario)
    return [
        _pool(server, callers),
        _time_limit(server, callers),
        _attempts(server, callers),
        _budget(server, callers),
        _limit(server, callers),
        _load(server, callers, not_screened(function)),
    ]


def _in_flight(server: Server, callers: Callers) -> int:
    """Return how many calls of one client are in flight at most, in good times.

    Little's law: the calls in flight are the rate times the time of each. Their number is Poisson's, whose standard
    deviation is the square root of the mean.
    """
    mean = callers.calls / callers.clients * server.mean
    return math.ceil(mean + _PEAK * math.sqrt(mean))


def _pool(server: Server, callers: Callers) -> Advice:
    """Return the advice on the client library's connections: as many as calls of a client are in flight at the peak."""
    needed = _in_flight(server, callers)
    each = callers.calls / callers.clients
    return Advice(
        "pool",
        "the connections of the client library are not part of the stack",
        f"{needed} connections for each client",
        f"Little's law: {each:g} calls a second of {server.mean * 1000:.0f} ms are {each * server.mean:.2g} in flight"
        f" on the average, and three standard deviations more at the peak. A larger pool only queues at the server.",
    )


def _time_limit(server: Server, callers: Callers) -> Advice:
    """Return the advice on the time limit: the p99.9 of the latency at least, so that it cuts off one call of 1000.

    It must exist at all: without one a server that hangs holds every caller.
    """
    now = "none" if callers.time_limit == math.inf else f"{callers.time_limit:g} s"
    least = _quantile(server, _PATIENT)
    lost = 1 - server.served_within(callers.time_limit)
    if callers.time_limit == math.inf:
        reason = "Without one a call waits as long as the server hangs, and holds its connection and its slot."
        return Advice("time limit", now, f"timeout {_rounded(least)} s", f"{reason} That is the latency's p99.9.")
    if callers.time_limit < least:
        return Advice(
            "time limit",
            now,
            f"timeout {_rounded(least)} s",
            f"{lost:.1%} of the requests take longer in good times; that is the latency's p99.9.",
        )
    return Advice(
        "time limit",
        now,
        "keep it",
        f"It is above the latency's p99.9, {_rounded(least)} s: in good times it cuts off next to nothing.",
    )


def _attempts(server: Server, callers: Callers) -> Advice:
    """Return the advice on attempts: when all of them fail, calls times attempts must not exceed the capacity.

    More of them are fine with a budget, which limits the retries of all calls together.
    """
    most = max(1, math.floor(server.capacity / callers.calls * (1 - 1e-9)))
    now = f"{callers.attempts:g}"
    load = callers.calls * callers.tries
    if callers.tries <= most:
        reason = (
            f"When every attempt fails they send {load:g} requests a second, and the server can do {server.capacity:g}."
        )
        return Advice("attempts", now, "keep it", reason)
    reason = (
        f"When every attempt fails they send {load:g} requests a second, and the server can do {server.capacity:g}:"
        f" without a budget at most {most}."
    )
    if callers.tokens < math.inf:
        return Advice("attempts", now, "keep it, with the budget", reason)
    return Advice("attempts", now, "keep it, with a budget", reason)


def _budget(server: Server, callers: Callers) -> Advice:
    """Return the advice on the retry budget: the reserves of all clients must fit beside the calls.

    A reserve pays for retries even when nothing succeeds, and in an outage it does so at all clients at once.
    """
    if callers.attempts <= 1:
        return Advice("budget", "none", "keep it", "There are no retries to pay for.")
    now = "none"
    if callers.tokens < math.inf:
        now = f"for each client {callers.tokens:g} tokens and a reserve of {callers.reserve:g} a second"
    spare = (server.capacity * _PLANNED - callers.calls) / callers.clients
    each = callers.calls / callers.clients
    tokens = max(math.ceil(callers.cost or 14), math.ceil(1.4 * each))
    reserve = max(0.0, min(1.0, math.floor(spare * 10) / 10))
    is_good = callers.tokens < math.inf and callers.reserve * callers.clients <= spare * callers.clients
    if is_good:
        return Advice("budget", now, "keep it", "Its reserves of all clients together fit beside the calls.")
    reason = (
        f"Retries are then paid for by successes: 1.4 tokens for each of the {each:g} calls a second of a client, one"
        " retry at least; and the reserves of all clients fit into the capacity that the calls leave."
    )
    return Advice("budget", now, f"RetryBudget(tokens={tokens}, reserve={reserve:g})", reason)


def _limit(server: Server, callers: Callers) -> Advice:
    """Return the advice on the concurrency limit: between what good times need and what a hanging server can bear."""
    now = "none" if callers.limit == math.inf else f"{callers.limit:g} calls of a client"
    least = _in_flight(server, callers)
    if callers.time_limit == math.inf:
        return Advice("concurrency limit", now, f"bulkhead limit {2 * least}", "Twice what good times need.")
    # When the server hangs each slot is held for the time limit: so many slots send that many requests a second.
    most = math.floor(server.capacity * _PLANNED * callers.time_limit / callers.clients)
    reason = (
        f"At least {least}, what good times need; at most {most}: when all fail, each slot is held for the time limit,"
        f" and so many send {_PLANNED:.0%} of what the server can do."
    )
    if least <= callers.limit <= most:
        return Advice("concurrency limit", now, "keep it", reason)
    if least > most:
        return Advice("concurrency limit", now, "none does both: let clients share one, or raise the capacity", reason)
    return Advice("concurrency limit", now, f"bulkhead limit {min(most, 4 * least)}", reason)


def _load(server: Server, callers: Callers, left_out: Sequence[str]) -> Advice:
    """Return the advice on the load: no more than 80 % of the capacity, and no more than `largest_load`."""
    most = largest_load(server, callers)
    now = f"{callers.calls:g} calls a second"
    beside = ""
    if left_out:
        beside = f" Not counted: {', '.join(left_out)}."
    if not most:
        return Advice("largest load", now, "there is no safe load", f"A state of failure lasts at any load.{beside}")
    planned = math.floor(min(most, _PLANNED * server.capacity))
    reason = f"Up to {most:.0f} a second no failure lasts: load = calls (1 + retries) has one solution.{beside}"
    if callers.calls <= planned:
        return Advice("largest load", now, "keep it", reason)
    return Advice("largest load", now, f"plan for {planned} calls a second", reason)


def largest_load(server: Server, callers: Callers) -> float:
    """Return the largest number of calls a second that *callers* can make of *server* without a state that lasts.

    0.0 where there is none.

    >>> server = Server(capacity=2400, p50=0.040, sigma=0.866, workers=140)
    >>> round(largest_load(server, Callers(1000, attempts=3, time_limit=1.0)))
    799
    """
    low, high = 0.0, server.capacity
    if _is_safe(server, dataclasses.replace(callers, calls=high)):
        return high
    for step in range(_HALVINGS):
        middle = server.capacity / 2**step
        if _is_safe(server, dataclasses.replace(callers, calls=middle)):
            low = middle
            break
        high = middle
    while low and high / low > _EXACT:
        middle = (low + high) / 2
        if _is_safe(server, dataclasses.replace(callers, calls=middle)):
            low = middle
        else:
            high = middle
    return low


#: The least load that is looked at is the capacity divided by two to this power.
_HALVINGS = 12


def _is_safe(server: Server, callers: Callers) -> bool:
    """Return whether a state of health sustains itself, and no state of failure does."""
    good, _, bad = settle(server, callers)
    return good is not None and bad is None


def _quantile(server: Server, share: float) -> float:
    """Return the seconds within which that *share* of the requests is served."""
    low, high = server.p50, server.p50 * 1000
    for _ in _bisections():
        middle = math.sqrt(low * high)
        low, high = (middle, high) if server.served_within(middle) < share else (low, middle)
    return high


def _bisections() -> Iterator[int]:
    """Yield once for each halving: forty of them are more exact than the numbers that go in."""
    yield from range(40)


def _rounded(seconds: float) -> str:
    """Return *seconds* with two digits: advice that is more exact would pretend to know more than the model does."""
    return f"{float(f'{seconds:.2g}'):g}"
