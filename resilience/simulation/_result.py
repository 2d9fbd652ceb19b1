"""`Simulation`: the result of a run, second by second and in numbers, with a verdict.

The verdict, and all numbers but latencies and wasted work, are computed from the series and the scenario. Calls of the
last seconds are not judged, since they may not have ended.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from resilience.simulation._scenario import Scenario
from resilience.simulation._text import conclusion, text

__all__ = ["ENOUGH", "WINDOW", "Part", "Series", "Simulation", "Verdict"]

Verdict: TypeAlias = Literal["safe", "vulnerable", "metastable", "overloaded"]
"""The state that a run shows: see `Simulation.verdict`."""

ENOUGH, WINDOW = 0.95, 5
"""The dependency is back when, from then on, this share of the calls of so many seconds is answered in time."""
_NOT_JUDGED = 5
"""Seconds before the end: calls that begin then may not have ended, and are not judged."""
_AT_ONCE = 5


@dataclass
class Series:
    """The run second by second. Calls count in the second in which they began, requests in that of their arrival.

    Each list has one number for each second of the run. The five ends of calls, from *answered* to *rejected*, add up
    to *arrivals*, but for calls that were in flight at the end of the run.
    """

    #: Calls of the function that began.
    arrivals: list[int]
    #: Requests that the server got, retries and copies included.
    sent: list[int]
    #: Calls that were answered in time.
    answered: list[int]
    #: Calls that were answered when the user had left.
    late: list[int]
    #: Calls that got a substitute from a fallback.
    substituted: list[int]
    #: Calls that failed.
    failed: list[int]
    #: Calls that a policy rejected: a circuit, a limit, a throttle. Not among those that failed.
    rejected: list[int]
    #: Requests that waited at the server at the end of the second.
    queue: list[int]

    @classmethod
    def empty(cls, seconds: int) -> Series:
        """Return a series of so many *seconds* in which nothing has happened yet."""
        return cls(*([0] * seconds for _ in range(8)))

    def __len__(self) -> int:
        return len(self.arrivals)

    def share(self, counts: Sequence[int], begin: int, end: int) -> float:
        """Return the sum of *counts* from second *begin* to *end* for each call that began then; 1 where none did."""
        calls = sum(self.arrivals[begin:end])
        if not calls:
            return 1.0
        return sum(counts[begin:end]) / calls


@dataclass(frozen=True)
class Part:
    """A part of the run: before, during or after the trouble. Shares are of the calls that began in it."""

    name: str
    #: Its first second, and the first one after it.
    begin: int
    end: int
    #: Calls a second.
    calls: float
    answered: float
    late: float
    substituted: float
    failed: float
    rejected: float
    #: Requests for each call.
    amplification: float
    #: Requests that wait at its end.
    queue: int

    @property
    def seconds(self) -> int:
        """How long it is."""
        return self.end - self.begin

    @classmethod
    def of(cls, name: str, series: Series, begin: int, end: int) -> Part:
        """Return the part of *series* from second *begin* to *end*."""

        def share(counts: Sequence[int]) -> float:
            if end <= begin:
                return 0.0
            return series.share(counts, begin, end)

        return cls(
            name=name,
            begin=begin,
            end=end,
            calls=sum(series.arrivals[begin:end]) / max(1, end - begin),
            answered=share(series.answered),
            late=share(series.late),
            substituted=share(series.substituted),
            failed=share(series.failed),
            rejected=share(series.rejected),
            amplification=share(series.sent),
            queue=sum(series.queue[max(begin, end - 1) : end]),
        )


@dataclass
class Simulation:
    """The result of `simulate`.

    Rates are in calls or requests a second, durations in seconds. `str` of it is a text for people.

    The *verdict* is on this one run. A function that is "safe" here has come back from this trouble, and may not come
    back from a harder one: `sweep` and `find_trigger` look for that.
    """

    target: str
    #: The policies of the function, outermost first, as they describe themselves.
    stack: tuple[str, ...]
    scenario: Scenario
    series: Series
    #: The durations of the calls that were answered, late ones included: by share of these, in seconds.
    quantiles: Mapping[float, float]
    #: The mean of these durations.
    mean: float | None
    #: Requests that the server worked on for callers that had left.
    wasted: int
    #: The seconds after the end of the trouble from which on calls are answered in time again; None: never in this run.
    #: Measured in windows of five seconds. The last five of a run are not judged: their calls may not have ended.
    recovery: float | None = field(init=False)

    def __post_init__(self) -> None:
        self.recovery = self._recovery()

    def parts(self) -> tuple[Part, Part, Part]:
        """Return the run before, during and after the trouble; the latter two are empty where there is none."""
        length = len(self.series)
        begins, ends = min(length, math.floor(self.scenario.trouble_begins)), self.trouble_ends
        return (
            Part.of("before", self.series, 0, begins),
            Part.of("during", self.series, begins, ends),
            Part.of("after", self.series, ends, length),
        )

    @property
    def conclusion(self) -> str:
        """One sentence: whether the function comes back, and how soon."""
        return conclusion(self)

    def __str__(self) -> str:
        return text(self)

    # -- numbers ------------------------------------------------------------------------------------------------------

    @property
    def goodput(self) -> float:
        """Calls that were answered in time, per second of the run."""
        return sum(self.series.answered) / self.scenario.duration

    @property
    def goodput_after(self) -> float:
        """The same from the end of the trouble on."""
        begin = self.trouble_ends
        return sum(self.series.answered[begin:]) / max(1, len(self.series) - begin)

    @property
    def amplification(self) -> float:
        """Requests that the server got for each call of the function: 1 without any retry."""
        return self.series.share(self.series.sent, 0, len(self.series))

    @property
    def peak_amplification(self) -> float:
        """The largest amplification of one second."""
        pairs = zip(self.series.sent, self.series.arrivals, strict=True)
        return max((sent / calls for sent, calls in pairs if calls), default=0.0)

    @property
    def p50(self) -> float | None:
        """The median time until a call was answered; None where none was."""
        return self.quantiles.get(0.5)

    @property
    def p99(self) -> float | None:
        """The time in which 99 of 100 answered calls were answered; None where none was."""
        return self.quantiles.get(0.99)

    @property
    def verdict(self) -> Verdict:
        """The state that the run shows.

        "overloaded": even before the trouble too few calls are answered in time. "metastable": the trouble is over, and
        the function does not come back. "vulnerable": it comes back, but later than 5 s after the end of the trouble.
        "safe": it is back within 5 s.
        """
        before = self.series.share(self.series.answered, 0, self._healthy_seconds)
        if before < ENOUGH:
            return "overloaded"
        if self.recovery is None:
            return "metastable"
        if self.recovery > _AT_ONCE:
            return "vulnerable"
        return "safe"

    @property
    def _healthy_seconds(self) -> int:
        """The seconds before the trouble, or before what is not judged any more; all, where it begins at once."""
        begins = self.scenario.trouble_begins
        if begins >= self.scenario.duration:
            return max(1, len(self.series) - _NOT_JUDGED)
        return math.floor(begins)

    @property
    def trouble_ends(self) -> int:
        """The second from which on the trouble is over."""
        return min(len(self.series), math.ceil(self.scenario.trouble_ends))

    def _recovery(self) -> float | None:
        """Return the seconds from the end of the trouble until calls are answered, for good; None: never in this run.

        A window of `WINDOW` seconds is bad where less than `ENOUGH` of its calls are answered in time. The function is
        back after the last bad window; where that is the last one that can be judged, it is not. Windows make a single
        bad second, as by chance at a low rate, no failure.
        """
        begins = self.trouble_ends
        last = len(self.series) - _NOT_JUDGED - WINDOW
        if begins > last:
            return 0.0
        answered = self.series.answered
        bad = [at for at in range(begins, last + 1) if self.series.share(answered, at, at + WINDOW) < ENOUGH]
        if not bad:
            return 0.0
        if bad[-1] == last:
            return None
        return float(bad[-1] + 1 - begins)

    # -- as data ------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON."""
        return {
            "format": "simulation",
            "target": self.target,
            "stack": list(self.stack),
            "scenario": dict(self.scenario.to_dict()),
            "verdict": self.verdict,
            "conclusion": self.conclusion,
            "recovery": self.recovery,
            "goodput": round(self.goodput, 3),
            "goodput_after": round(self.goodput_after, 3),
            "amplification": round(self.amplification, 4),
            "peak_amplification": round(self.peak_amplification, 4),
            "mean": self.mean,
            "p50": self.p50,
            "p99": self.p99,
            "wasted": self.wasted,
            "parts": [asdict(part) for part in self.parts() if part.seconds],
            "series": asdict(self.series),
        }

    def to_json(self) -> str:
        """Return the result as one JSON document: of the same scenario and the same seed the same text."""
        return json.dumps(self.to_dict())
