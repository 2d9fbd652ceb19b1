"""The law of a partial circuit: which share of its calls it sheds while a part of them fails.

It is the equilibrium of the graduated circuit breaker of Shopify's Semian (``pid_controller.rb``, 0.28):

    share = d / (1 - d)        d = failing - usual, but for a dead zone

*failing* is the share that fails of the calls that were made, so what the circuit rejects never feeds it; *usual* is
the share that fails when all is well. Semian's controller comes to that share step by step. Here it follows at once
from the last calls, and there is nothing that winds up during an outage and has to unwind after it.

Pure functions of numbers, and `UsualFailures`, which learns. No clock, no lock, no chance.
"""

from __future__ import annotations

import math

from resilience.policies._sliding_window import WindowSnapshot

__all__ = ["MIN_CALLS", "OPEN_AT", "UsualFailures", "failing_share", "is_no_streak_of_chance", "share_to_shed"]

MIN_CALLS = 10
"""The number of calls from which on their failures say anything."""

OPEN_AT = 0.9
"""The failing share from which on the circuit opens: so little succeeds that probes find out as well."""

_MAX_SHARE = 0.9  # a tenth still goes through, by which the failing share is known
_DEVIATIONS = 3.0  # of what chance makes of the usual share, until shedding begins
_DEAD_ZONE = 0.25  # of the usual share, as Semian has it
_CHANCE = 1e-6  # of a streak of failures that opens the circuit

_MIN_USUAL, _MAX_USUAL = 0.05, 0.1  # Semian starts at the one, and learns from no share above the other
_LEARNED_CALLS = 5000


class UsualFailures:
    """The share of the calls of one circuit that fails when all is well: 5 % at first, and between that and 10 %.

    It is the exponential moving average of some 5000 calls. A circuit learns while it sheds nothing, or an outage would
    become what is usual; nor from times when more than 10 % fails; and never less than 5 %, as shedding helps no
    dependency that fails as seldom.

    >>> usual = UsualFailures()
    >>> for _ in range(3000):
    ...     usual.learn(calls=12, failed=1, failing=0.085)
    >>> f"{usual.share:.3f}"
    '0.083'
    """

    __slots__ = ("share",)

    def __init__(self) -> None:
        self.share: float = _MIN_USUAL

    def learn(self, calls: int, failed: int, failing: float) -> None:
        """Learn from further *calls*, of which so many *failed*, by weight; the share *failing* did of late."""
        if failing > _MAX_USUAL:
            return
        average = self.share * math.exp(-calls / _LEARNED_CALLS) + failed / _LEARNED_CALLS
        self.share = min(max(average, _MIN_USUAL), _MAX_USUAL)


def failing_share(window: WindowSnapshot) -> float:
    """Return the share of the calls in *window* that failed, at most 1: failures count by weight.

    >>> failing_share(WindowSnapshot(calls=20, failed=5, slow=0)), failing_share(WindowSnapshot(0, 0, 0))
    (0.25, 0.0)
    """
    return min(window.failed / max(window.calls, 1), 1.0)


def share_to_shed(window: WindowSnapshot, usual: float, *, shedding: bool) -> float:
    """Return the share of the calls to shed, by those in *window* that were made; at most 0.9.

    *d* is measured from the edge of the dead zone, a quarter above the *usual* share, so that the share does not jump
    there. Shedding begins only where more calls fail than chance explains: by three standard deviations of the usual
    share of as many calls.

    >>> share_to_shed(WindowSnapshot(calls=160, failed=42, slow=0), usual=0.05, shedding=False)
    0.25
    >>> few = WindowSnapshot(calls=160, failed=16, slow=0)
    >>> share_to_shed(few, usual=0.05, shedding=False), f"{share_to_shed(few, usual=0.05, shedding=True):.3f}"
    (0.0, '0.039')
    """
    if window.calls < MIN_CALLS:
        return 0.0
    failing = failing_share(window)
    by_chance = _DEVIATIONS * math.sqrt(usual * (1.0 - usual) / window.calls)
    if not shedding and failing <= usual + by_chance:
        return 0.0
    deviation = max(failing - usual * (1.0 + _DEAD_ZONE), 0.0)
    # d / (1 - d) is 1 from half of the calls on; for a d of 1 it has no value.
    return min(deviation / max(1.0 - deviation, 0.5), _MAX_SHARE)


def is_no_streak_of_chance(failures: float, failing: float) -> bool:
    """Whether so many *failures* in a row are too improbable where the share *failing* of the calls had failed before.

    >>> [is_no_streak_of_chance(5, failing) for failing in (0.05, 0.2)], is_no_streak_of_chance(9, 0.2)
    ([True, False], True)
    """
    return bool(failing**failures < _CHANCE)
