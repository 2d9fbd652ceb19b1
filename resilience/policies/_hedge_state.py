"""The state of a hedge that all calls of a key share: the delay, the pause, and how often copies have won.

It says when a copy is to be made, and when none would help: it knows latencies, and nothing of calls and failures.
"""

from __future__ import annotations

import math

from resilience.policies._latency_quantile import LatencyQuantile

__all__ = ["PAUSE_SECONDS", "HedgeState"]

PAUSE_SECONDS = 10.0
"""How long no copy is made after a failure that asks for fewer calls, or when copies do not win."""
_MAX_PAUSE_SECONDS = 60.0
_JUDGED_RACES = 20
_MIN_WINS = 2
"""Of the last 20 races: a tenth."""
_MAX_SLOWDOWN = 1.5
"""The median of the last latencies in relation to the best one, beyond which calls wait for capacity."""
_FORGETTING = 0.01 / 60
"""The growth of the best median with each second, as a share: a dependency that stays slower is taken as it is."""
_MIN_OBSERVED = 200
"""Calls before the best median is looked for: the first estimates are too unsteady to compare with."""
_STEADY_STEP, _QUICK_STEP = 0.005, 0.05
"""Steps of the medians: over some hundreds of calls, for the best one, and over the last few dozen."""


class HedgeState:
    """The delay of a hedge, learned or given, and what its calls have shown of the dependency.

    A *race* is a call of which a copy was made, and which has succeeded. Where copies win fewer than a tenth of the
    last 20 races, they only add load.

    A copy helps where a few calls are slow, and harms where all of them are, as they wait for capacity. The median
    tells these apart: stragglers leave it where it is, and a queue does not. So it is compared with the best one seen.

    Threads may lose an update to each other: the numbers are for reading and for pauses, no more.
    """

    __slots__ = (
        "_best",
        "_best_at",
        "_delay",
        "_judged",
        "_median",
        "_observed",
        "_recent",
        "_won",
        "copies",
        "paused_until",
        "quantile",
        "wins",
    )

    def __init__(self, share: float | None, delay: float) -> None:
        #: What learns the delay; None where it is given.
        self.quantile: LatencyQuantile | None = None
        if share is not None:
            self.quantile = LatencyQuantile(share)
        self._delay = delay
        self._median = LatencyQuantile(0.5, _STEADY_STEP)
        self._recent = LatencyQuantile(0.5, _QUICK_STEP)
        self._observed = 0
        #: The best median, in seconds, and when it was seen.
        self._best = math.inf
        self._best_at = 0.0
        #: By the clock of the calls.
        self.paused_until: float = -math.inf
        #: The further copies that were made, and those that have won.
        self.copies: int = 0
        self.wins: int = 0
        #: The races since they were judged last, and the wins of copies among them.
        self._judged = 0
        self._won = 0

    @property
    def delay(self) -> float:
        """The seconds after which a copy is made; infinite while too few calls have been observed."""
        if self.quantile is None:
            return self._delay
        return self.quantile.delay

    def observe(self, seconds: float, now: float) -> None:
        """Learn from the latency of a call's first copy, which has ended now."""
        if self.quantile is not None:
            self.quantile.observe(seconds)
        self._recent.observe(seconds)
        self._median.observe(seconds)
        self._observed += 1
        median = self._median.estimate
        if median is not None and self._observed > _MIN_OBSERVED:
            best = self._best * (1 + _FORGETTING * (now - self._best_at))
            self._best, self._best_at = min(best, median), now

    @property
    def lacks_capacity(self) -> bool:
        """Whether calls wait for capacity now: the median of the last ones is far above the best one."""
        median = self._recent.estimate
        return median is not None and median > _MAX_SLOWDOWN * self._best

    def record_race(self, *, won: bool) -> bool:
        """Note a race, and whether a further copy has *won* it; return whether copies win too few of them."""
        self.wins += won
        self._won += won
        self._judged += 1
        if self._judged < _JUDGED_RACES:
            return False
        too_few = self._won < _MIN_WINS
        self._judged = self._won = 0
        return too_few

    def pause(self, now: float, seconds: float) -> float:
        """Make no copies for *seconds*, at least 10 and at most 60; return how many it are."""
        seconds = min(max(seconds, PAUSE_SECONDS), _MAX_PAUSE_SECONDS)
        self.paused_until = max(self.paused_until, now + seconds)
        return seconds
