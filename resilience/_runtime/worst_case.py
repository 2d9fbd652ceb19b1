"""What a stack can come to when everything inside it fails: how many calls, and how long."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from resilience._runtime.protocol import Policy
    from resilience.policies.backoff import Backoff

__all__ = ["ONE_CALL", "WorstCase", "longest_waits", "worst_case"]


class WorstCase(NamedTuple):
    """The most that one call can come to.

    *calls* of the function; *waits*, the seconds waited in between, unless the other side asks for more; *seconds* in
    all. Infinite where nothing limits them. *hint* is the longest that the other side may ask to wait each time.
    *unknown* names the policies that do not say what they add.
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
        """Return this under a limit of seconds."""
        return self._replace(seconds=min(self.seconds, limit), waits=min(self.waits, limit), hint=min(self.hint, limit))

    def unknown_to(self, policy: str) -> WorstCase:
        """Return this inside a policy, of that name, that may call any number of times and wait any time."""
        return WorstCase(math.inf, math.inf, math.inf, unknown=(policy, *self.unknown))

    def __str__(self) -> str:
        if self.unknown:
            names = " and ".join(dict.fromkeys(self.unknown))
            limit = f", {self.seconds:.4g} s in all" if self.seconds < math.inf else ""
            return f"worst case: unknown ({names} {'does' if names in self.unknown else 'do'} not say){limit}"
        calls = (
            "any number of calls" if self.calls == math.inf else f"{self.calls:g} call{'' if self.calls == 1 else 's'}"
        )
        if self.seconds < math.inf:
            time = f"{self.seconds:.4g} s"
        elif self.waits == math.inf:
            time = "no limit to the waiting"
        else:
            time = f"{self.waits:.4g} s of waiting and what the calls take"
        more = f"; each wait up to {self.hint:.4g} s where the other side asks for it" if self.hint else ""
        return f"worst case: {calls}, {time}{more}"


ONE_CALL = WorstCase()
"""What a function comes to that nobody guards."""


def worst_case(stack: Sequence[Policy]) -> WorstCase:
    """Return what a call through *stack*, the outermost first, can come to."""
    worst = ONE_CALL
    for policy in reversed(stack):
        outer = policy.worst(worst)
        # A policy that only multiplies numbers says nothing of those inside it.
        worst = outer if outer.unknown else outer._replace(unknown=worst.unknown)
    return worst


def longest_waits(backoff: Backoff, base: float, retries: float) -> float:
    """Return the most that so many waits of *backoff* come to, in seconds."""
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
    return 1.0
