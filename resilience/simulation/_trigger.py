"""`find_trigger`: the smallest trouble that a function does not come back from, by bisection.

The length is bisected on a logarithmic scale, by the geometric mean: the difference between 1 s and 2 s matters as much
as that between 50 s and 100 s. Each step is one simulation, in which one client stands for several where they are many.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

from resilience._runtime.callables import name_of
from resilience._validation import did_you_mean, parse_duration, require
from resilience.simulation._engine import simulate
from resilience.simulation._judgement import lasts, permanent, smaller
from resilience.simulation._scenario import Disturbance, Outage, Pause, Scenario, Slowdown
from resilience.simulation._screening import scenario_with

__all__ = ["TRIGGERS", "Trigger", "find_trigger"]

#: The bisection ends where the two limits are this close to each other, as a factor.
_EXACT = 1.05
_BEGINS = 15.0
_OBSERVED = 45.0
_SHORTEST = 0.1
_LONGEST = 120.0

TRIGGERS: Mapping[str, tuple[Callable[[float, float, float], Disturbance], str]] = {
    "outage": (lambda at, length, _: Outage(at, length), "an outage that refuses requests"),
    "hang": (lambda at, length, _: Outage(at, length, mode="hang"), "an outage in which requests hang"),
    "pause": (lambda at, length, _: Pause(at, length), "a pause of the server"),
    "slow": (lambda at, length, speed: Slowdown(at, length, speed=speed), "{speed:g}x the speed"),
}
"""The kinds of trouble that are tried, with the words for each."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trigger:
    """The smallest trouble of a *kind* that a function does not come back from.

    *seconds* is how long it lasts; None: the function comes back even after *longest* seconds. *survived* is the
    longest one that it came back from. *runs* counts the simulations that were made.
    """

    target: str
    kind: str
    speed: float
    seconds: float | None
    survived: float
    longest: float
    runs: int

    @property
    def words(self) -> str:
        """The kind of trouble in words."""
        return TRIGGERS[self.kind][1].format(speed=self.speed)

    def __str__(self) -> str:
        if self.seconds is None:
            return f"{self.target} comes back from {self.words}, even after {self.longest:g} s of it."
        return (
            f"{self.target} does not come back from {self.words} for {self.seconds:.2g} s; it does after"
            f" {self.survived:.2g} s."
        )

    def to_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return dataclasses.asdict(self)


def find_trigger(
    function: Callable[..., object],
    scenario: Scenario,
    kind: str = "slow",
    *,
    speed: float = 0.5,
    longest: float = _LONGEST,
    progress: Callable[[float], object] | None = None,
) -> Trigger:
    """Return the smallest trouble of *kind* that *function* does not come back from in *scenario*.

    The scenario's own trouble is left out, but for what lasts to its end. A longer trouble is taken for a harder one:
    the length is bisected between 0.1 s and *longest*, to 5 %. *speed* is that of a server that is "slow"; the other
    kinds are "outage", "hang" and "pause". *progress* is called with the length that is tried.

    Raises ValueError for a kind that there is not, TypeError for a function that cannot be simulated.

    >>> from resilience import retry_on_category, timeout
    >>> @retry_on_category(attempts=3)
    ... @timeout(1.0)
    ... async def search(query: str) -> str:
    ...     return query
    >>> find_trigger(search, Scenario(rps=10, capacity=50), "outage", longest=5).seconds is None
    True
    """
    require(kind in TRIGGERS, "kind", kind, f"one of {', '.join(TRIGGERS)}{did_you_mean(kind, list(TRIGGERS))}")
    most = parse_duration("longest", longest)
    runs = 0

    def outlasts(seconds: float) -> bool:
        nonlocal runs
        runs += 1
        if progress is not None:
            progress(seconds)
        return lasts(simulate(function, _scenario_of(scenario, TRIGGERS[kind][0](_BEGINS, seconds, speed))))

    survived, lost = 0.0, most
    found = outlasts(most)
    if found and outlasts(_SHORTEST):
        lost = _SHORTEST
    elif found:
        survived = _SHORTEST
        while lost > survived * _EXACT:
            middle = math.sqrt(survived * lost)
            if outlasts(middle):
                lost = middle
            else:
                survived = middle
    target = name_of(function)
    if not found:
        return Trigger(target, kind, speed, None, most, most, runs)
    return Trigger(target, kind, speed, lost, survived, most, runs)


def _scenario_of(scenario: Scenario, event: Disturbance) -> Scenario:
    """Return *scenario* with *event* as its only trouble, and time to come back from it."""
    kept = [dataclasses.replace(each, at=0.0, lasts=math.inf) for each in permanent(scenario)]
    patience = scenario.in_time or 0.0
    duration = event.ends + _OBSERVED + 2 * min(patience, _OBSERVED)
    return smaller(scenario_with(scenario, events=(*kept, event), duration=duration))
