"""Hedges, as a table of the page: the simulation is in `benchmarks.load.hedge`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.load import hedge
from benchmarks.load.picture import ACCENT, FAINT, INK, heading, panel
from benchmarks.load.table import Progress, Result, Table

__all__ = ["TABLE"]

#: The calls of each simulation.
_CALLS = 10_000
#: The dependency serves a request to its end although its caller has cancelled it: the worse case for a hedge.
_STOPS = False
_COLOURS = dict(
    zip(
        hedge.POLICIES,
        [(INK, (0, (2, 2))), ("#2b83c6", "-"), ("#e08214", "-"), ("#2ca02c", "-"), (ACCENT, "-")],
        strict=True,
    )
)


def find(progress: Progress) -> Result:
    """Simulate each policy at each utilisation."""
    results = []
    for utilisation in hedge.UTILISATIONS:
        for name, make in hedge.POLICIES.items():
            progress(f"{name}, {utilisation:.0%}")
            result = hedge.simulate(make, utilisation, _CALLS, stops=_STOPS)
            results.append({"utilisation": utilisation, "name": name, **dataclasses.asdict(result)})
    return {"calls": _CALLS, "results": results}


def rows(found: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return p50, p99 and p99.9 in seconds, and the extra calls, of each policy at each utilisation."""
    head = ["hedge", *(f"{utilisation:.0%}" for utilisation in hedge.UTILISATIONS)]
    lines = []
    for name in hedge.POLICIES:
        cells = [row for row in found["results"] if row["name"] == name]
        lines.append(
            [
                name,
                *(
                    f"{row['p50']:.2f} / {row['p99']:.3g} / {row['p999']:.3g} {row['requests'] - 1:+.1%}"
                    for row in cells
                ),
            ]
        )
    return head, lines


def complaints(found: Result) -> list[str]:
    """Return the limits that our default misses."""
    table: dict[float, dict[str, hedge.Result]] = {}
    for row in found["results"]:
        numbers = {part: row[part] for part in ("p50", "p99", "p999", "requests")}
        table.setdefault(row["utilisation"], {})[row["name"]] = hedge.Result(**numbers)
    return [f"hedges: {miss}" for miss in hedge.misses(table, hedge.LIMITS[_STOPS])]


def draw(found: Result) -> Figure:
    """Return the figure: the p99 on the left, the median on the right, by utilisation."""
    figure = heading(
        "Hedges in front of twenty servers",
        "One request in twenty takes ten times as long. A hedge sends a late one again, and the first answer counts.",
        _COLOURS,
    )
    _quantile(panel(figure, 0, "The slowest of a hundred calls (p99)", "seconds"), found, "p99")
    _quantile(panel(figure, 1, "The median call (p50)", "seconds"), found, "p50")
    return figure


def _quantile(axes: Axes, found: Result, part: str) -> None:
    for name, (colour, style) in _COLOURS.items():
        values = [row[part] for row in found["results"] if row["name"] == name]
        axes.plot(hedge.UTILISATIONS, values, color=colour, linestyle=style, marker="o", markersize=4)
    axes.set_ylim(bottom=0)
    axes.set_xticks(hedge.UTILISATIONS, [f"{utilisation:.0%}" for utilisation in hedge.UTILISATIONS])
    axes.set_xlabel("share of the servers' time that calls take without hedges", size=8.5, color=FAINT)


TABLE = Table("hedging", "Hedges", find, rows, complaints, draw)
