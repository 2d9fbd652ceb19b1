"""Backoff and jitter: how long a retry waits before the next attempt, and every formula that spreads clients in time.

The wait is capped first and spread by jitter afterwards. Jitter before the cap would send every client whose wait has
reached the cap back at the same moment, which is what jitter is there to prevent.

No other module has a jitter formula of its own: the circuit's open time is spread by `equal_jitter`, a server's
Retry-After by `hint_jitter`. To change a formula, or to add one, change this file and its test.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Literal, TypeAlias, get_args

from resilience._validation import optional, parse_duration, parse_number, require, require_choice

__all__ = ["JITTERS", "Backoff", "Jitter", "equal_jitter", "hint_jitter", "longest_waits"]

Draw: TypeAlias = Callable[[], float]

Jitter: TypeAlias = Literal["equal", "full", "decorrelated", "none"]
"""The name of a jitter. The formulas: `Backoff`."""

JITTERS: Sequence[Jitter] = get_args(Jitter)


@dataclasses.dataclass(frozen=True)
class Backoff:
    """Exponential backoff with jitter. Durations in seconds, as numbers or timedeltas.

    With ``v = min(max_delay, base * exponential_base ** n)`` for retry n = 0, 1, ... and u uniform in [0, 1):

    * *equal* waits ``v * (0.5 + 0.5 u)``: never less than half of the backoff, so that a server gets its rest,
    * *full* waits ``u v``: spreads the clients furthest,
    * *decorrelated* waits ``base + u (3 previous - base)``, drawn again from the upper half of the cap when it gets
      there,
    * *none* waits ``v``: for tests, and where there is a single client.

    The names and formulas are those of "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). Without a
    *base_delay* the base is that of the failure's category.

    Raises TypeError or ValueError for invalid options.

    >>> import random
    >>> Backoff(jitter="none").delay(retry=3, base=0.1, previous=0.4, draw=random.random)
    0.8
    """

    base_delay: float | timedelta | None = None
    max_delay: float | timedelta = 60.0
    exponential_base: float = 2.0
    jitter: Jitter = "equal"

    #: *max_delay* and *base_delay* in seconds.
    cap: float = dataclasses.field(init=False, repr=False)
    first: float | None = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the options, and keep durations in seconds: past the lock of a frozen dataclass."""
        first = optional(functools.partial(parse_duration, zero=True), "base_delay", self.base_delay)
        cap = parse_duration("max_delay", self.max_delay, zero=True)
        expected = "a number of 1 or more: each wait is that many times the one before"
        factor = parse_number("exponential_base", self.exponential_base, expected, least=1.0)
        require_choice("jitter", self.jitter, JITTERS)
        if first is not None:
            require(first <= cap, "base_delay", first, f"at most max_delay={cap:g}")
        vars(self).update(base_delay=first, first=first, max_delay=cap, cap=cap, exponential_base=factor)

    def delay(self, retry: int, base: float, previous: float, draw: Draw) -> float:
        """Return the wait before retry number *retry* (from 0), in seconds.

        *base* is the category's, used unless `base_delay` is set; *previous* the wait before; *draw* gives u.
        """
        first = self.first
        if first is None:
            first = min(base, self.cap)
        if first <= 0:
            return 0.0
        if self.jitter == "decorrelated":
            return self._decorrelated(first, previous, draw)
        try:
            wait = min(first * self.exponential_base**retry, self.cap)
        except OverflowError:  # near retry 1024
            wait = self.cap
        return _SPREAD[self.jitter](wait, draw)

    def options(self) -> Mapping[str, str]:
        """Return what a description of a retry shows."""
        base = "by category"
        if self.first is not None:
            base = f"{self.first:g}"
        return {"base_delay": base, "max_delay": f"{self.cap:g}", "jitter": self.jitter}

    def _decorrelated(self, first: float, previous: float, draw: Draw) -> float:
        wait = first + draw() * (3 * max(previous, first) - first)
        if wait < self.cap:
            return wait
        return equal_jitter(self.cap, draw())  # drawn anew: what got there is always a large one


def equal_jitter(wait: float, chance: float) -> float:
    """Return a random part of *wait*, of half of it at least; *chance* is uniform in [0, 1).

    >>> equal_jitter(8.0, chance=0.0), equal_jitter(8.0, chance=0.5)
    (4.0, 6.0)
    """
    return wait * (0.5 + 0.5 * chance)


def hint_jitter(wait: float, asked: float, chance: float) -> float:
    """Return the wait after a server's hint: *wait*, or the *asked* seconds if those are longer, and up to 10 % more.

    A server gives the same Retry-After to all clients. They must not come back at the same second, and none of them
    before it.

    >>> hint_jitter(1.0, asked=30.0, chance=0.5)
    31.5
    """
    return max(asked, wait) + chance * _HINT_SHARE * asked


_HINT_SHARE = 0.1  # of the hint: enough to part clients, little enough to keep what the server planned


_SPREAD: Mapping[str, Callable[[float, Draw], float]] = {
    "equal": lambda wait, draw: equal_jitter(wait, draw()),
    "full": lambda wait, draw: wait * draw(),
    "none": lambda wait, _: wait,
}
"""The jitters that depend on the capped wait alone. The other one, *decorrelated*, goes by the wait before."""


def longest_waits(backoff: Backoff, base: float, retries: float) -> float:
    """Return the longest total of so many waits of *backoff*, in seconds: each the longest delay that jitter allows.

    *base* is the base delay of the category that is retried. The total of infinitely many waits is infinite, or 0.
    """
    if retries == math.inf:
        return math.inf if backoff.delay(0, base, 0.0, _most) > 0 else 0.0
    total = previous = 0.0
    for retry in range(int(retries)):
        previous = backoff.delay(retry, base, previous, _most)
        if previous >= backoff.cap:  # and so are all that follow
            return total + (int(retries) - retry) * backoff.cap
        total += previous
    return total


def _most() -> float:
    """Stand in for chance where a delay is to be the longest."""
    return 1.0
