"""Circuits against a dependency of which a part of the calls fails.

Real circuits, in virtual time, seeded. *Steady*: ten minutes of failures at random, after half a minute of 1 %; of
these the share of calls that succeeded, of what was possible: 80 % of the calls where 20 % fail. *Outage*: half a
minute in which all fail, and how many seconds later 90 % of the calls of a second succeed again. *Background*: ten
minutes of failures that are usual.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.load.picture import ACCENT, FAINT, INK, heading, panel
from benchmarks.load.table import Progress, Result, Table
from resilience import CircuitOpenError, circuit_breaker
from resilience.circuits import CircuitBreaker
from resilience.testing import virtual_time

__all__ = ["TABLE", "CIRCUITS", "OURS", "Run", "complaints", "find", "rows"]

Row: TypeAlias = dict[str, float | str]
Document: TypeAlias = dict[str, list[Row]]

OURS = "partial"

CIRCUITS: Final[Mapping[str, Callable[[], CircuitBreaker]]] = {
    "5 in a row": lambda: circuit_breaker("simulated"),
    "half of 20, 5 s": lambda: circuit_breaker("simulated", failure_rate=0.5, reset_timeout=5),
    OURS: lambda: circuit_breaker("simulated", partial=True),
}

_RATES = (20.0, 100.0)  # calls per second
_SEEDS = range(3)
_FAILING = (0.1, 0.2, 0.3, 0.4, 0.6, 1.0)
_BACKGROUND = (0.01, 0.02)
_HEALTHY, _STEADY, _OUTAGE, _AFTER = 30, 600, 30, 120  # seconds

_LEAST_OF_POSSIBLE: Final[Mapping[float, float]] = {0.1: 0.8, 0.2: 0.8, 0.3: 0.65}
_MAX_LET_THROUGH, _MAX_SHED, _LATEST_RECOVERY = 0.05, 0.002, 10.0
_RECOVERED = 0.9

_PARTS = ("steady", "outage", "background")


@dataclasses.dataclass
class Run:
    """Calls through one circuit, second by second: how many succeeded, failed and were rejected."""

    circuit: CircuitBreaker
    rate: float
    seed: int
    seconds: list[tuple[int, int, int]] = dataclasses.field(default_factory=list)

    def play(self, *phases: tuple[int, float]) -> Run:
        """Play phases of so many seconds, in each of which a share of the calls fails."""
        chance = random.Random(self.seed)

        @self.circuit
        def dependency(failing: float) -> None:
            if chance.random() < failing:
                raise ConnectionResetError

        with virtual_time(seed=self.seed) as clock:
            for seconds, failing in phases:
                for _ in range(seconds):
                    outcomes: list[str] = []
                    for _ in range(int(self.rate)):
                        clock.advance(1 / self.rate)
                        outcomes.append(_outcome_of(dependency, failing))
                    self.seconds.append((outcomes.count("ok"), outcomes.count("failed"), outcomes.count("rejected")))
        return self

    def shares(self, begin: int, end: int | None = None) -> tuple[float, float, float]:
        """Return the shares of the calls between two seconds that succeeded, failed, and were rejected."""
        seconds = self.seconds[begin:end]
        calls = self.rate * len(seconds)
        succeeded, failed, rejected = (sum(column) / calls for column in zip(*seconds, strict=True))
        return succeeded, failed, rejected

    def recovery(self, begin: int) -> float:
        """Return how long after second *begin* a second ends in which nine of ten calls succeed; infinity: never."""
        least = _RECOVERED * self.rate
        ended = (number for number, outcomes in enumerate(self.seconds[begin:], 1) if outcomes[0] >= least)
        return float(next(ended, math.inf))


def _outcome_of(call: Callable[[float], None], failing: float) -> str:
    try:
        call(failing)
    except CircuitOpenError:
        return "rejected"
    except ConnectionResetError:
        return "failed"
    return "ok"


def find(progress: Progress = lambda _: None) -> Document:
    """Run all simulations; *progress* hears of which."""
    document: Document = {"steady": [], "outage": [], "background": []}
    for (name, make), rate in itertools.product(CIRCUITS.items(), _RATES):
        progress(f"{name}, {rate:g} calls per second")
        document["steady"] += [_steady(name, make, rate, failing) for failing in _FAILING]
        document["outage"].append(_outage(name, make, rate))
        document["background"] += [_background(name, make, rate, failing) for failing in _BACKGROUND]
    return document


def _steady(name: str, make: Callable[[], CircuitBreaker], rate: float, failing: float) -> Row:
    runs = [Run(make(), rate, seed).play((_HEALTHY, 0.01), (_STEADY, failing)).shares(_HEALTHY) for seed in _SEEDS]
    succeeded = statistics.fmean(run[0] for run in runs)
    failed = statistics.fmean(run[1] for run in runs)
    return {
        "circuit": name,
        "rate": rate,
        "failing": failing,
        "succeeded": succeeded,
        "possible": 1.0 - failing,
        "let_through": succeeded + failed,
    }


def _outage(name: str, make: Callable[[], CircuitBreaker], rate: float) -> Row:
    phases = (_HEALTHY, 0.01), (_OUTAGE, 1.0), (_AFTER, 0.01)
    found = [Run(make(), rate, seed).play(*phases).recovery(_HEALTHY + _OUTAGE) for seed in _SEEDS]
    return {"circuit": name, "rate": rate, "recovery": max(found)}


def _background(name: str, make: Callable[[], CircuitBreaker], rate: float, failing: float) -> Row:
    shed = [Run(make(), rate, seed).play((_STEADY, failing)).shares(0)[2] for seed in _SEEDS]
    return {"circuit": name, "rate": rate, "failing": failing, "shed": max(shed)}


def rows(document: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return head and rows of the table: the share that succeeds of what is possible, by the share that fails."""
    head = ["circuit", "calls/s", *(f"{failing:.0%} fail" for failing in _FAILING[:-1])]
    head += ["let through, all fail", "back after an outage", f"shed at {_BACKGROUND[-1]:.0%}"]
    return head, [_cells(document, name, rate) for name, rate in itertools.product(CIRCUITS, _RATES)]


def _cells(document: Result, name: str, rate: float) -> Sequence[str]:
    steady, outage, background = (
        [row for row in document[part] if row["circuit"] == name and row["rate"] == rate] for part in _PARTS
    )
    delivered = [f"{_of_possible(row):.0%}" for row in steady[:-1]]
    let_through, recovery, shed = steady[-1]["let_through"], outage[0]["recovery"], background[-1]["shed"]
    return [name, f"{rate:g}", *delivered, f"{let_through:.2%}", f"{recovery:g} s", f"{shed:.2%}"]


def _of_possible(row: Row) -> float:
    return float(row["succeeded"]) / float(row["possible"])


def complaints(document: Result) -> Sequence[str]:
    """Return what the partial circuit does worse than it must: nothing, if all is well."""
    steady, outage, background = ([row for row in document[part] if row["circuit"] == OURS] for part in _PARTS)
    found = [
        f"{row['failing']:.0%} failures: {_of_possible(row):.3f} of what is possible succeeds, less than {least:g}"
        for row in steady
        for failing, least in _LEAST_OF_POSSIBLE.items()
        if row["failing"] == failing and _of_possible(row) < least
    ]
    through = [float(row["let_through"]) for row in steady if not row["possible"]]
    found += [f"all fail: {share:.3f} is let through" for share in through if share > _MAX_LET_THROUGH]
    recoveries = [float(row["recovery"]) for row in outage]
    found += [f"after an outage: back in {seconds:g} s" for seconds in recoveries if seconds > _LATEST_RECOVERY]
    shed = [float(row["shed"]) for row in background]
    return found + [f"background: {share:.4f} is shed" for share in shed if share > _MAX_SHED]


# -- the picture ------------------------------------------------------------------------------------------------------

_COLOURS: Final[Mapping[str, str]] = {"5 in a row": "#e08214", "half of 20, 5 s": "#2b83c6", OURS: ACCENT}


def draw(document: Result) -> Figure:
    """Return the figure: the calls that succeed, and those that are let through, by the share that fails."""
    rate = _RATES[-1]
    figure = heading(
        "Circuits, while a part of the calls fails at random",
        f"Ten minutes at {rate:g} calls per second.",
        {"possible": (INK, (0, (2, 2))), **{name: (colour, "-") for name, colour in _COLOURS.items()}},
    )
    succeeded = panel(figure, 0, "Calls that succeed", "share of all calls")
    shares = (0.0, *_FAILING)
    succeeded.plot(shares, [1 - share for share in shares], color=INK, linestyle=(0, (2, 2)))
    _lines(succeeded, document, rate, "succeeded")
    _lines(panel(figure, 1, "Calls that are let through", "share of all calls"), document, rate, "let_through")
    return figure


def _lines(axes: Axes, document: Result, rate: float, column: str) -> None:
    for name, colour in _COLOURS.items():
        found = [row[column] for row in document["steady"] if row["circuit"] == name and row["rate"] == rate]
        axes.plot((0.0, *_FAILING), (1.0, *found), color=colour, marker="o", markersize=4)
    axes.set_ylim(0, 1.05)
    axes.set_xlim(0, 1.05)
    axes.set_xticks((0.0, *_FAILING), [f"{share:.0%}" for share in (0.0, *_FAILING)])
    axes.set_xlabel("calls that fail, of those that are made", size=8.5, color=FAINT)


TABLE = Table("breaker", "Circuits", find, rows, complaints, draw)
