"""The judgement of one combination of options: two simulations, of the trouble at hand and of a harder one.

One simulation cannot tell whether a function that has come back was safe or lucky. A second one makes trouble that is
certainly hard enough: the server stands still until all that has arrived meanwhile will be answered too late. If the
failure outlasts that, the function is vulnerable.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from resilience.simulation._engine import simulate
from resilience.simulation._map import Cell
from resilience.simulation._result import Simulation, Verdict
from resilience.simulation._scenario import Disturbance, Pause, Scenario
from resilience.simulation._screen import Callers
from resilience.simulation._screening import callers_in, scenario_with, screen_function
from resilience.simulation._variants import OPTIONS, variant

__all__ = ["Judgement", "judge", "judge_cell", "lasts", "permanent"]

_STRESS_BEGINS = 10.0
_STRESS_OBSERVED = 40.0
_MAX_STRESS = 120.0
#: A queue gets shorter where its length at the end is below this share of that in the middle of the time after trouble.
_SHORTER = 0.98
_SAMPLE = 5
#: The share of calls that are answered where they come back: in a failure that lasts next to none is.
_BACK = 0.5
#: Calls of a run of a sweep beyond which clients that are alike are simulated as one.
_MAX_CALLS = 6_000


@dataclasses.dataclass(frozen=True, slots=True)
class Judgement:
    """The *verdict* on a function, and the simulation of the trouble at hand that it comes from.

    The verdict of *result* itself may differ: it has not seen the stress.
    """

    verdict: Verdict
    result: Simulation


def judge(function: Callable[..., object], scenario: Scenario) -> Judgement:
    """Return the verdict on *function* in *scenario*, from simulations alone.

    The first simulation decides on "overloaded" and "metastable". The verdict of `Simulation` knows "vulnerable" by the
    time until calls came back; here a second simulation, under stress, decides between that and "safe".
    """
    result = simulate(function, scenario)
    if result.verdict == "overloaded":
        return Judgement("overloaded", result)
    if lasts(result):
        return Judgement("metastable", result)
    stressed = simulate(function, _stress(scenario, callers_in(function, scenario)))
    if lasts(stressed):
        return Judgement("vulnerable", result)
    return Judgement("safe", result)


def judge_cell(function: Callable[..., object], scenario: Scenario, options: Mapping[str, float]) -> Cell:
    """Return the cell of a map for *function* and *scenario* with other *options*.

    The scenario is made smaller first, where its clients are many and alike. Raises ValueError for an option that the
    function does not have.
    """
    own = {name: value for name, value in options.items() if name in OPTIONS}
    numbers = {name: value for name, value in options.items() if name not in OPTIONS}
    changed = variant(function, own)
    scenario = smaller(scenario_with(scenario, **numbers))
    judgement = judge(changed, scenario)
    result = judgement.result
    after = math.ceil(min(scenario.trouble_ends, scenario.duration - 1))
    return Cell(
        options,
        judgement.verdict,
        result.recovery,
        result.series.share(result.series.answered, after, max(after + 1, len(result.series) - _SAMPLE)),
        result.peak_amplification,
        result.p50,
        result.p99,
        screen_function(changed, scenario).verdict,
    )


def smaller(scenario: Scenario) -> Scenario:
    """Return *scenario* with so many clients simulated as one that a run has some thousand calls, if it has so many."""
    assert scenario.workers is not None
    wanted = math.ceil(scenario.rps * scenario.duration / _MAX_CALLS)
    most = min(scenario.clients, max(1, scenario.workers // 4))
    return scenario_with(scenario, batch=max(scenario.batch or 1, min(most, wanted)))


def lasts(result: Simulation) -> bool:
    """Return whether the failure outlasts the trouble: no call comes back, nor does the server's queue get shorter.

    A queue that gets shorter is one that the server works off: calls come back, after the end of the run.
    """
    if result.recovery is not None:
        return False
    end = int(result.scenario.duration)
    if result.series.share(result.series.answered, end - 2 * _SAMPLE, end - _SAMPLE) >= _BACK:
        return False  # calls have come back just now
    queue = result.series.queue[:end]  # without a second that has not ended
    after = queue[math.ceil(min(result.scenario.trouble_ends, len(queue) - 1)) :]
    middle = len(after) // 2
    earlier, last = statistics.fmean(after[middle : middle + _SAMPLE]), statistics.fmean(after[-_SAMPLE:])
    return not 0 < last < _SHORTER * earlier


def permanent(scenario: Scenario) -> Sequence[Disturbance]:
    """Return the disturbances of *scenario* that last until its end: the new state of things."""
    return [event for event in scenario.events if event.ends >= scenario.duration and not isinstance(event, Pause)]


def _stress(scenario: Scenario, callers: Callers) -> Scenario:
    """Return a scenario in which the server stands still until its queue is longer than any caller waits.

    A queue of *n* requests takes *n* / capacity seconds, and grows by the calls of each second. So the server stands
    still for twice the time limit times capacity / calls, and for as long as a call takes with all of its attempts, up
    to two minutes. The scenario then goes on for long enough to see whether calls come back.
    """
    limit = callers.time_limit
    if limit == math.inf:
        limit = 0.0
    assert scenario.capacity is not None
    speed = math.prod(getattr(event, "speed", getattr(event, "workers", 1.0)) for event in permanent(scenario))
    too_long = 2 * limit * max(1.0, scenario.capacity * speed / scenario.rps)
    seconds = min(_MAX_STRESS, max(_STRESS_BEGINS, too_long + callers.tries * limit))
    duration = math.ceil(_STRESS_BEGINS + seconds + _STRESS_OBSERVED)
    kept = [dataclasses.replace(event, at=0.0, lasts=math.inf) for event in permanent(scenario)]
    return scenario_with(scenario, events=(*kept, Pause(_STRESS_BEGINS, seconds)), duration=duration)
