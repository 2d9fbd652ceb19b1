"""How long to wait before the next attempt.

Cap first, then jitter: jitter before the cap sends every client that has reached it back at the same moment.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from resilience._validation import need, number, one_of, seconds

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["JITTERS", "Backoff"]

JITTERS = ("equal", "full", "decorrelated", "none")


@dataclasses.dataclass(frozen=True)
class Backoff:
    """Exponential backoff with jitter. Durations in seconds.

    With ``v = min(max_delay, base * exponential_base ** n)`` for retry n = 0, 1, ... and u uniform in [0, 1):
    *equal* waits ``v * (0.5 + 0.5 u)``, *full* ``u v``, *none* ``v``, and *decorrelated*
    ``base + u (3 previous - base)``, drawn again from the upper half of the cap when it gets there.

    >>> import random
    >>> Backoff(jitter="none").delay(retry=3, base=0.1, previous=0.4, draw=random.random)
    0.8
    """

    base_delay: float | timedelta | None = None
    max_delay: float | timedelta = 60.0
    exponential_base: float = 2.0
    jitter: str = "equal"

    #: *max_delay* and *base_delay* in seconds.
    cap: float = dataclasses.field(init=False, repr=False)
    first: float | None = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.base_delay is not None:
            object.__setattr__(self, "base_delay", seconds("base_delay", self.base_delay, zero=True))
        object.__setattr__(self, "max_delay", seconds("max_delay", self.max_delay, zero=True))
        right = "a number of 1 or more: each wait is that many times the one before"
        object.__setattr__(
            self, "exponential_base", number("exponential_base", self.exponential_base, right, least=1.0)
        )
        one_of("jitter", self.jitter, JITTERS)
        object.__setattr__(self, "cap", self.max_delay)
        object.__setattr__(self, "first", self.base_delay)
        if self.first is not None:
            need(self.first <= self.cap, "base_delay", self.first, f"at most max_delay={self.cap:g}")

    def delay(self, retry: int, base: float, previous: float, draw: Callable[[], float]) -> float:
        """Return the wait before retry number *retry* (from 0), in seconds.

        *base* is the category's, used unless `base_delay` is set; *previous* the wait before; *draw* gives u.
        """
        first = self.first
        if first is None:
            first = min(base, self.cap)
        if first <= 0:
            return 0.0
        jitter = self.jitter
        if jitter == "decorrelated":
            wait = first + draw() * (3 * max(previous, first) - first)
            # Drawn anew: what got there is always a large one.
            return wait if wait < self.cap else self.cap * (0.5 + 0.5 * draw())
        try:
            wait = first * self.exponential_base**retry
        except OverflowError:  # near retry 1024
            wait = self.cap
        wait = min(wait, self.cap)
        if jitter == "equal":
            return wait * (0.5 + 0.5 * draw())
        return wait * draw() if jitter == "full" else wait
