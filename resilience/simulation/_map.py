"""The map that a sweep draws: one cell for each combination of options, with its verdict and its numbers.

A value without behaviour of its own but for its conclusion: the one sentence that a reader takes home.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from resilience.simulation._axes import Axis
from resilience.simulation._result import Verdict

__all__ = ["MEANINGS", "VERDICTS", "Cell", "PlanMap", "shown_options"]

VERDICTS: Sequence[Verdict] = ("safe", "vulnerable", "metastable", "overloaded")

MEANINGS: Mapping[Verdict, str] = {
    "safe": "Calls are answered, and are again when any trouble is over: there is no state of failure that lasts.",
    "vulnerable": "Calls come back after this trouble. A longer or harder one leads to a failure that outlasts it.",
    "metastable": "Calls do not come back after this trouble: the retries of failed calls keep the server overloaded.",
    "overloaded": "Calls fail without any trouble: there are too many, or the time limits are too short.",
}
"""The meaning of each verdict, in words for a reader who has not met it."""

_SECONDS = ("timeout", "deadline")


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """A combination of *options*, and what the simulation says of it.

    *recovery* is in seconds after the end of the trouble; None: not within the run. *answered* is the share of the
    calls after the trouble that were answered in time, *amplification* the most requests for each call in a second,
    *p50* and *p99* are latencies of answered calls, in seconds. *screened* is the verdict of the analytic screen.
    """

    options: Mapping[str, float]
    verdict: Verdict
    recovery: float | None
    answered: float
    amplification: float
    p50: float | None
    p99: float | None
    screened: Verdict

    def to_dict(self) -> dict[str, object]:
        """Return the cell as plain values for JSON."""
        return {"options": dict(self.options), **{name: getattr(self, name) for name in _NUMBERS}}


_NUMBERS = ("verdict", "recovery", "answered", "amplification", "p50", "p99", "screened")


def shown_options(options: Mapping[str, float]) -> str:
    """Return *options* as a reader reads them.

    >>> shown_options({"attempts": 3, "timeout": 0.5, "budget": 0})
    'attempts 3, timeout 0.5 s, no budget'
    """
    return ", ".join(_shown(name, value) for name, value in options.items())


def _shown(name: str, value: float) -> str:
    """Return one option with its unit."""
    if name == "budget" and not value:
        return "no budget"
    unit = " s" * (name in _SECONDS)
    return f"{name} {value:g}{unit}"


@dataclasses.dataclass(frozen=True, slots=True)
class PlanMap:
    """The *cells* of a sweep of *target* along one or two *axes*; the first axis is the faster one.

    *scenario* are the numbers that all cells share, as pairs of a name and a text, *trouble* is what happens to the
    server, in words, and *now* are the options of the axes as the function has them.

    Cells are in the order of `combinations`: with two axes a row of the map is a slice of them. A map that does not
    hold the function as it is now has no `current` cell, and its conclusion speaks of all cells.
    """

    target: str
    axes: Sequence[Axis]
    cells: Sequence[Cell]
    scenario: Mapping[str, str]
    trouble: str
    now: Mapping[str, float]

    def having(self, verdict: Verdict) -> Sequence[Cell]:
        """Return the cells with that *verdict*."""
        return [cell for cell in self.cells if cell.verdict == verdict]

    @property
    def current(self) -> Cell | None:
        """The cell of the function as it is now; None where the map has none."""
        found = [cell for cell in self.cells if cell.options == self.now]
        return found[0] if found else None

    def nearest(self, cell: Cell, verdict: Verdict = "safe") -> Cell | None:
        """Return the cell with that *verdict* that is the fewest steps along the axes from *cell*; None without one.

        Of two that are as near, it is the one with the larger share of answered calls.
        """
        return min(self.having(verdict), key=lambda each: (self._steps(cell, each), -each.answered), default=None)

    def _steps(self, one: Cell, other: Cell) -> int:
        """Return how many steps along the axes *other* is from *one*."""
        steps = 0
        for axis in self.axes:
            steps += abs(axis.values.index(one.options[axis.name]) - axis.values.index(other.options[axis.name]))
        return steps

    @property
    def agreement(self) -> float:
        """The share of the cells of which the simulation and the analytic screen say the same."""
        return sum(cell.verdict == cell.screened for cell in self.cells) / len(self.cells)

    @property
    def conclusion(self) -> str:
        """The sentence that sums up the map."""
        current = self.current
        if current is None:
            return self._conclusion_of_all()
        text = f"As it is now ({shown_options(current.options)}), {self.target} {_PREDICATES[current.verdict]}"
        text = text.format(trouble=self.trouble)
        if current.verdict == "safe":
            return f"{text}."
        better = self.nearest(current)
        if better is None:
            return f"{text}; no combination of this map is safe."
        return f"{text}; the nearest safe combination is {shown_options(better.options)}."

    def _conclusion_of_all(self) -> str:
        """Return the conclusion of a map that has no cell for the function as it is now."""
        safe, lost = self.having("safe"), self.having("metastable")
        total = len(self.cells)
        if len(safe) == total:
            return f"{self.target} is safe in all {total} combinations: it comes back after any trouble that ends."
        text = f"{self.target} is safe in {len(safe)} of {total} combinations"
        if not lost:
            return f"{text}, and comes back from {self.trouble} wherever it is not overloaded."
        return (
            f"{text}; in {len(lost)} it never comes back from {self.trouble}, as with {shown_options(lost[0].options)}."
        )

    def to_html(self) -> str:
        """Return the map as a page of HTML, which loads nothing."""
        from resilience.simulation._map_page import map_page

        return map_page(self)

    def to_dict(self) -> dict[str, object]:
        """Return the map as plain values for JSON."""
        return {
            "target": self.target,
            "axes": [{"name": axis.name, "label": axis.label, "values": list(axis.values)} for axis in self.axes],
            "trouble": self.trouble,
            "scenario": dict(self.scenario),
            "now": dict(self.now),
            "conclusion": self.conclusion,
            "agreement": self.agreement,
            "cells": [cell.to_dict() for cell in self.cells],
        }


_PREDICATES: Mapping[Verdict, str] = {
    "safe": "is safe: it comes back after {trouble}, and after any other trouble that ends",
    "vulnerable": "comes back from {trouble}, but not from longer or harder trouble",
    "metastable": "never comes back from {trouble}",
    "overloaded": "is overloaded without any trouble",
}
