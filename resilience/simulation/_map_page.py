"""The page of a map: one HTML file that loads nothing, for a browser, a printer and a screen reader.

`map.html` is the frame; this module fills in what depends on the map. A cell has a sign and a word beside its colour,
and all numbers are in a table of their own.
"""

from __future__ import annotations

import html
import importlib.resources
import string
from collections.abc import Mapping, Sequence

from resilience.simulation._map import MEANINGS, VERDICTS, Cell, PlanMap, shown_options
from resilience.simulation._result import Verdict

__all__ = ["map_page"]

_SIGNS: Mapping[Verdict, str] = {"safe": "✓", "vulnerable": "!", "metastable": "✕", "overloaded": "■"}
_HEAD_WIDTH, _CELL_WIDTH = 64, 62


def map_page(plan: PlanMap) -> str:
    """Return the HTML document that shows *plan*. The same map, the same text.

    Every text of the map is escaped: names of functions and texts of scenarios come from the user's code.
    """
    frame = importlib.resources.files("resilience.simulation").joinpath("map.html").read_text(encoding="utf-8")
    selected = plan.current or plan.cells[0]
    columns = plan.axes[0].values
    framed = "The frame marks what the function has now." if plan.current else ""
    return string.Template(frame).substitute(
        title=html.escape(f"What {plan.target} survives"),
        conclusion=html.escape(plan.conclusion),
        trouble=html.escape(plan.trouble),
        frame=framed,
        min_width=f"{_HEAD_WIDTH + _CELL_WIDTH * len(columns)}px",
        tags="".join(_tag(verdict) for verdict in VERDICTS),
        map=_map(plan),
        selected=_facts(selected),
        legend="".join(_legend(verdict, plan) for verdict in VERDICTS),
        scenario="".join(_pair(name, text) for name, text in plan.scenario.items()),
        numbers=_numbers(plan),
        agreement=html.escape(_agreement(plan)),
    )


def _map(plan: PlanMap) -> str:
    """Return the table of the map, with a template for each cell that the page shows when the cell is selected."""
    x = plan.axes[0]
    columns = '<col class="head">' + "<col>" * len(x.values)
    top = f'<tr><td></td><th class="axis" scope="colgroup" colspan="{len(x.values)}">{html.escape(x.label)}</th></tr>'
    side = "".join(f'<th class="axis rows" scope="col">{html.escape(axis.label)}</th>' for axis in plan.axes[1:])
    heads = (side or "<td></td>") + "".join(f'<th scope="col">{value:g}</th>' for value in x.values)
    body = "".join(f"<tr>{head}{_row(cells, plan)}</tr>" for head, cells in _rows(plan))
    facts = "".join(f'<template id="cell-{number}">{_facts(cell)}</template>' for number, cell in enumerate(plan.cells))
    return f"<colgroup>{columns}</colgroup><thead>{top}<tr>{heads}</tr></thead><tbody>{body}</tbody>{facts}"


def _rows(plan: PlanMap) -> Sequence[tuple[str, Sequence[Cell]]]:
    """Return the rows of the map with their heads, the largest value at the top as in a plot."""
    width = len(plan.axes[0].values)
    cells = [plan.cells[begin : begin + width] for begin in range(0, len(plan.cells), width)]
    if len(plan.axes) == 1:
        return [("<td></td>", cells[0])]
    heads = [f'<th scope="row">{value:g}</th>' for value in plan.axes[1].values]
    return list(zip(heads, cells, strict=True))[::-1]


def _row(cells: Sequence[Cell], plan: PlanMap) -> str:
    """Return the cells of one row."""
    return "".join(_cell(cell, plan) for cell in cells)


def _cell(cell: Cell, plan: PlanMap) -> str:
    """Return one cell: its colour by a class, a sign, the seconds until calls came back, and a label of words.

    One cell of the map takes the focus of the keyboard, as in a grid of ARIA: the one that is selected at first has the
    ``tabindex`` 0, all others have -1, and the script of the page moves it.
    """
    number = plan.cells.index(cell)
    is_current = cell is plan.current
    is_selected = cell is (plan.current or plan.cells[0])
    label = f"{shown_options(cell.options)}: {cell.verdict}, {_recovery(cell)}"
    attributes = {
        "class": " ".join(["cell", cell.verdict, *["now"] * is_current]),
        "tabindex": str(int(is_selected) - 1),
        "aria-selected": str(is_selected).lower(),
        "aria-label": label + ", as it is now" * is_current,
        "title": label,
        "data-for": f"cell-{number}",
    }
    written = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
    return f'<td {written}><span class="mark">{_SIGNS[cell.verdict]}</span>{_seconds(cell)}</td>'


def _seconds(cell: Cell) -> str:
    """Return the time until calls came back, as short as a cell needs it."""
    if cell.verdict == "overloaded":
        return "fails"
    if cell.recovery is None:
        return {"metastable": "never"}.get(cell.verdict, "late")
    return f"{cell.recovery:.0f} s"


def _recovery(cell: Cell) -> str:
    """Return in words when calls came back."""
    if cell.verdict == "overloaded":
        return "calls fail without any trouble"
    if cell.recovery is None:
        return {"metastable": "never back"}.get(cell.verdict, "not back within the run, but its queue gets shorter")
    return f"back {cell.recovery:.0f} s after the trouble"


def _facts(cell: Cell) -> str:
    """Return all that is known of a cell, for the panel."""
    facts = {
        "Calls": _recovery(cell),
        "Answered in time after it": f"{cell.answered:.1%}",
        "Requests for each call, at the peak": f"{cell.amplification:.2f}",
        "Median latency": _latency(cell.p50),
        "99th percentile": _latency(cell.p99),
        "Analytic screen": cell.screened,
    }
    pairs = "".join(_pair(name, text) for name, text in facts.items())
    return f"<strong>{html.escape(shown_options(cell.options))}</strong> {_tag(cell.verdict)}<dl>{pairs}</dl>"


def _latency(seconds: float | None) -> str:
    """Return a latency in milliseconds; in words where no call was answered."""
    if seconds is None:
        return "no call was answered"
    return f"{seconds * 1000:.0f} ms"


def _tag(verdict: Verdict) -> str:
    """Return the sign and the word of a *verdict*."""
    return f'<span class="tag {verdict}">{_SIGNS[verdict]} {verdict}</span>'


def _legend(verdict: Verdict, plan: PlanMap) -> str:
    """Return how many cells have the *verdict*, and the meaning of it."""
    number = len(plan.having(verdict))
    return f"<li>{_tag(verdict)} {number} of {len(plan.cells)}. {html.escape(MEANINGS[verdict])}</li>"


def _pair(name: str, text: str) -> str:
    """Return an entry of a list of facts."""
    return f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>"


def _agreement(plan: PlanMap) -> str:
    """Return the sentence on the analytic screen: two methods that agree make each other credible."""
    return (
        f"The simulation and the analytic screen agree on {plan.agreement:.0%} of the cells. The screen solves"
        " load = calls (1 + retries(failing(load))) for the loads that sustain themselves; the simulation runs the"
        " function's own policies, in virtual time."
    )


def _numbers(plan: PlanMap) -> str:
    """Return the table of all numbers, a row for each cell: for screen readers, for copying, and for print."""
    heads = [
        *(f"{axis.name}" for axis in plan.axes),
        "verdict",
        "back after (s)",
        "answered in time",
        "requests per call, peak",
        "p50 (ms)",
        "p99 (ms)",
        "screen",
    ]
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heads)
    body = "".join(f"<tr>{_line(cell)}</tr>" for cell in plan.cells)
    return f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"


def _line(cell: Cell) -> str:
    """Return the row of a *cell* in the table of numbers."""
    latencies = [f"{seconds * 1000:.0f}" if seconds is not None else "-" for seconds in (cell.p50, cell.p99)]
    texts = [
        *(f"{value:g}" for value in cell.options.values()),
        cell.verdict,
        "never" if cell.recovery is None else f"{cell.recovery:.0f}",
        f"{cell.answered:.1%}",
        f"{cell.amplification:.2f}",
        *latencies,
        cell.screened,
    ]
    return "".join(f"<td>{html.escape(text)}</td>" for text in texts)
