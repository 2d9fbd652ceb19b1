"""The worst case of a stack: how many calls and how many seconds one call can take when everything inside it fails.

`describe` shows it. It is worked out from the inside: a function is one call of unknown length, and each policy says by
`Policy.worst` what it makes of the worst case of the next layer. A retry multiplies calls and adds its waits, a limit
caps seconds. A policy that does not say makes the rest unknown, but for an outer limit, which still holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from resilience.categories import ErrorCategory

if TYPE_CHECKING:
    from resilience._runtime.protocol import Policy

__all__ = ["SINGLE_CALL", "WorstCase", "worst_case"]


class WorstCase(NamedTuple):
    """The most that one call can take.

    *calls* of the function; *waits*, the seconds waited in between, unless the server asks for more; *seconds* in all.
    Infinite where nothing limits them. *hint* is the longest that the server may ask to wait each time (Retry-After).
    *unknown* names the policies that do not say what they add.

    >>> WorstCase(calls=3, waits=0.5)
    WorstCase(calls=3, waits=0.5, seconds=inf, hint=0.0, retried=0, unknown=())
    >>> print(WorstCase(calls=3, waits=0.5).within(2.0))
    worst case: 3 calls, 2 s
    >>> print(WorstCase().unknown_to("Hedge"))
    worst case: unknown (Hedge does not say)
    """

    calls: float = 1
    waits: float = 0.0
    seconds: float = math.inf
    hint: float = 0.0
    #: The bits of the categories that are retried until they are given up.
    retried: int = 0
    #: The names of the policies that do not say what they add: nothing but *seconds* is a limit then.
    unknown: tuple[str, ...] = ()

    def within(self, limit: float) -> WorstCase:
        """Return this under a limit of seconds. A time-out of the limit itself is one that no inner retry has seen."""
        return self._replace(
            seconds=min(self.seconds, limit),
            waits=min(self.waits, limit),
            hint=min(self.hint, limit),
            retried=self.retried & ~ErrorCategory.TIMEOUT.value,
        )

    def unknown_to(self, policy: str) -> WorstCase:
        """Return this inside a policy, of that name, that may call any number of times and wait any time."""
        return WorstCase(math.inf, math.inf, math.inf, unknown=(policy, *self.unknown))

    def __str__(self) -> str:
        if self.unknown:
            return f"worst case: unknown ({self._unknown_names()}){self._limit()}"
        calls = {1: "1 call", math.inf: "any number of calls"}.get(self.calls, f"{self.calls:g} calls")
        return f"worst case: {calls}, {self._time()}{self._hint()}"

    def _unknown_names(self) -> str:
        """Return which policies do not say what they add, each once."""
        names = list(dict.fromkeys(self.unknown))
        verbs = {1: "does"}
        return f"{' and '.join(names)} {verbs.get(len(names), 'do')} not say"

    def _limit(self) -> str:
        if self.seconds == math.inf:
            return ""
        return f", {self.seconds:.4g} s in all"

    def _time(self) -> str:
        """Return the limit of seconds; without one, what is known of the waits."""
        if self.seconds < math.inf:
            return f"{self.seconds:.4g} s"
        if self.waits == math.inf:
            return "no limit to the waiting"
        return f"{self.waits:.4g} s of waiting and what the calls take"

    def _hint(self) -> str:
        if not self.hint:
            return ""
        return f" (up to {self.hint:.4g} s per wait if the server sends Retry-After)"


SINGLE_CALL = WorstCase()
"""The worst case of a function that is not guarded."""


def worst_case(stack: Sequence[Policy]) -> WorstCase:
    """Return the worst case of a call through *stack*, the outermost first."""
    worst = SINGLE_CALL
    for policy in reversed(stack):
        outer = policy.worst(worst)
        if not outer.unknown:  # a policy that only multiplies numbers says nothing of those inside it
            outer = outer._replace(unknown=worst.unknown)
        worst = outer
    return worst
