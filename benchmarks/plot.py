"""Results as a picture: what a call costs, for everybody, on a logarithmic scale."""

from __future__ import annotations

import io
import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.candidate import OURS
from benchmarks.table import number, others

__all__ = ["draw", "svg"]

# Inches, of which a page takes ten in its width.
_WIDTH, _LEFT, _RIGHT, _EDGE = 10.0, 3.45, 0.75, 0.15
_HEAD, _TITLE, _FOOT = 1.25, 0.55, 0.15
_ROW, _TEXT = 0.36, 0.145  # a row, at least, and a line of its label
_WRAP = 50  # characters of a row's label
_NEAR = 0.11  # marks nearer than this, in powers of ten, do not fit side by side

_INK, _FAINT, _PAPER, _BAND, _ACCENT = "#1f2328", "#59636e", "#ffffff", "#f3f5f7", "#d1242f"
_DARK = {_INK: "#e6edf3", _FAINT: "#9198a1", _PAPER: "#0d1117", _BAND: "#161b22", _ACCENT: "#ff6a69"}
#: Shapes and colours of the peers, in their order: told apart without colours too, visible on white and on black.
_MARKS = (
    ("o", "#2b83c6"),
    ("s", "#e08214"),
    ("^", "#2ca02c"),
    ("h", "#9a70c9"),
    ("v", "#93742f"),
    ("P", "#c855a5"),
    ("X", "#159fae"),
    ("<", "#7a8f1d"),
    (">", "#5f7ce0"),
    ("p", "#c0702a"),
    ("d", "#4c9f8a"),
    ("*", "#b05aa5"),
)


@dataclass(frozen=True)
class _Line:
    """A row of a panel: what ours costs, and everybody else."""

    label: tuple[str, ...]
    against: tuple[str, ...]
    ours: float | None
    others: Mapping[str, float]

    @property
    def height(self) -> float:
        """In inches."""
        return max(_ROW, (len(self.label) + len(self.against)) * _TEXT + 0.07)


@dataclass(frozen=True)
class _Panel:
    """A group of cases."""

    title: str
    against: str
    lines: tuple[_Line, ...]

    @property
    def height(self) -> float:
        """In inches, without what is above the rows."""
        return sum(line.height for line in self.lines)


def svg(found: Mapping[str, Any]) -> str:
    """Return the results of one interpreter as SVG: the same results, the same text."""
    text = io.StringIO()
    # Text stays text; names inside do not change from run to run.
    fonts = ["DejaVu Sans", "Verdana", "Arial"]  # wide ones first: what fits with them fits with others
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.sans-serif": fonts}):
        draw(found).savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    lines = (line.rstrip() for line in text.getvalue().splitlines())
    return "\n".join(lines).replace("</style>", f"{_dark()}</style>", 1) + "\n"


def _dark() -> str:
    """Return the rules that exchange the colours of ink and paper where the reader's screen is dark."""
    rules = [
        f'[style*="{part}: {light}"] {{{part}: {dark} !important}}'
        for light, dark in _DARK.items()
        for part in ("fill", "stroke")
    ]
    return "\n@media (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}\n"


def draw(found: Mapping[str, Any]) -> Figure:
    """Return the results of one interpreter as a figure: a panel for each group of cases, a row for each case."""
    panels = [panel for panel in map(_panel, _groups(found)) if panel.lines]
    height = _HEAD + sum(panel.height + _TITLE for panel in panels) + _FOOT
    figure = Figure(figsize=(_WIDTH, height), facecolor=_PAPER)
    marks = dict(zip(found["peers"], itertools.cycle(_MARKS), strict=False))
    _head(figure, found, marks, height)
    limits = _limits([line for panel in panels for line in panel.lines])
    top = height - _HEAD
    for panel in panels:
        top -= _TITLE
        for text, up, size, weight, colour in (
            (panel.title, 0.23, 10.5, "bold", _INK),
            (panel.against, 0.07, 8.5, "normal", _FAINT),
        ):
            figure.text(_EDGE / _WIDTH, (top + up) / height, text, size=size, weight=weight, color=colour)
        top -= panel.height
        box = (_LEFT / _WIDTH, top / height, 1 - (_LEFT + _RIGHT) / _WIDTH, panel.height / height)
        axes = figure.add_axes(box)
        _scale(axes, limits, panel.height)
        _rows(axes, panel.lines, marks)
    return figure


def _groups(found: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """Return the cases of each group that have a reference: the others are counts, mostly 0."""
    cases = [case for case in found["cases"] if case["reference"]]
    return [list(members) for _, members in itertools.groupby(cases, lambda case: str(case["group"]))]


def _panel(cases: Sequence[Mapping[str, Any]]) -> _Panel:
    """Return a group of cases. A reference they share stands below the title, not in every row."""
    shared = len({case["reference"] for case in cases}) == 1
    lines = tuple(line for case in cases for line in _lines(case, shared=shared))
    against = f"against {cases[0]['reference']}" if shared else ""
    return _Panel(str(cases[0]["group"]).capitalize(), against, lines)


def _lines(case: Mapping[str, Any], *, shared: bool) -> list[_Line]:
    """Return the rows of a case: one, and one for each further way of ours."""
    costs = {
        row["candidate"]: 1 / row["ratio"] if case["throughput"] else row["ratio"]
        for row in case["rows"]
        if row["ratio"]
    }
    own = [name for name in costs if name.startswith(OURS)]
    rest = {name: cost for name, cost in costs.items() if name not in own and name != case["reference"]}
    label = str(case["label"]).replace(": throughput", ": time")  # what is drawn is its inverse
    against = () if shared else tuple(textwrap.wrap(f"against {case['reference']}", _WRAP))
    first = _Line(tuple(textwrap.wrap(label, _WRAP)), against, costs.get(OURS), rest)
    more = [_Line((f"{label}:", f"{name}"), (), costs[name], {}) for name in own if name != OURS]
    return [first, *more] if costs else []


def _limits(lines: Sequence[_Line]) -> tuple[float, float]:
    costs = [
        1.0,
        *(line.ours for line in lines if line.ours),
        *(cost for line in lines for cost in line.others.values()),
    ]
    return min(costs) / 1.5, max(costs) * 1.5


def _head(figure: Figure, found: Mapping[str, Any], marks: Mapping[str, tuple[str, str]], height: float) -> None:
    left = _EDGE / _WIDTH
    title = f"Cost against peers, Python {found['python']}"
    figure.text(left, 1 - 0.3 / height, title, size=13, weight="bold", color=_INK)
    told = "How many times what the reference costs, which is the line at 1. Left is cheaper. The scale is logarithmic."
    figure.text(left, 1 - 0.53 / height, told, size=9.5, color=_INK)
    handles = [_handle(OURS, "D", _ACCENT, 8.5), *(_handle(name, *mark, 6.5) for name, mark in marks.items())]
    plain = [name for name in others(found, found["cases"]) if name not in marks]
    if plain:
        handles.append(_handle(" / ".join(reversed(plain)), "|", _FAINT, 10))
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, 1 - 0.58 / height),
        ncols=5,
        frameon=False,
        fontsize=9.5,
        labelcolor=_INK,
        handletextpad=0.3,
        columnspacing=1.6,
    )


def _handle(name: str, shape: str, colour: str, size: float) -> Line2D:
    return Line2D([], [], linestyle="", marker=shape, color=colour, markersize=size, label=name)


def _scale(axes: Axes, limits: tuple[float, float], height: float) -> None:
    """Set up a panel: powers of ten above it, inches downwards."""
    axes.set_xscale("log")
    axes.set_xlim(limits)
    axes.set_ylim(height, 0)
    axes.set_facecolor(_PAPER)
    for spine in axes.spines.values():
        spine.set_visible(False)
    ticks = [10.0**power for power in range(math.ceil(math.log10(limits[0])), math.floor(math.log10(limits[1])) + 1)]
    axes.set_xticks(ticks, [f"{tick:g}x" for tick in ticks], color=_FAINT, size=8.5)
    axes.set_xticks([], minor=True)
    axes.set_yticks([])
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False, pad=2)
    axes.grid(axis="x", color=_FAINT, linewidth=0.5, alpha=0.35)
    axes.axvline(1, color=_INK, linewidth=1, zorder=1)


def _rows(axes: Axes, lines: Sequence[_Line], marks: Mapping[str, tuple[str, str]]) -> None:
    top = 0.0
    beside = axes.get_yaxis_transform()
    left, right = (_EDGE - _LEFT) / (_WIDTH - _LEFT - _RIGHT), 1.015
    for place, line in enumerate(lines):
        middle = top + line.height / 2
        if place % 2 == 0:
            axes.axhspan(top, top + line.height, color=_BAND, linewidth=0, zorder=0)
        texts = [(text, _INK) for text in line.label] + [(text, _FAINT) for text in line.against]
        for number_of, (text, colour) in enumerate(texts):
            at = middle + (number_of - (len(texts) - 1) / 2) * _TEXT
            axes.text(left, at, text, transform=beside, size=8.5, color=colour, va="center_baseline")
        _marks(axes, middle, line, marks)
        if line.ours is not None:
            axes.plot(line.ours, middle, marker="D", color=_ACCENT, markersize=8, zorder=4)
            told = f"{number(line.ours)}x"
            axes.text(
                right, middle, told, transform=beside, size=9.5, weight="bold", color=_ACCENT, va="center_baseline"
            )
        top += line.height


def _marks(axes: Axes, middle: float, line: _Line, marks: Mapping[str, tuple[str, str]]) -> None:
    """Draw everybody but us, from the left; a mark that would cover another one, or ours, goes above or below it."""
    offsets = (0.0, -0.1, 0.1, -0.15, 0.15)
    last = [-math.inf] * len(offsets)  # the power of ten at which the last mark of each lane lies
    for name, cost in sorted(line.others.items(), key=lambda item: item[1]):
        if name not in marks:
            axes.plot(cost, middle, marker="|", color=_FAINT, markersize=12, markeredgewidth=2, zorder=2)
            continue
        at = math.log10(cost)
        ours = math.log10(line.ours) if line.ours else -math.inf
        free = [
            lane
            for lane, taken in enumerate(last)
            if at - taken >= _NEAR and not (lane == 0 and abs(at - ours) < _NEAR)
        ]
        lane = free[0] if free else len(last) - 1
        last[lane] = at
        shape, colour = marks[name]
        axes.plot(cost, middle + offsets[lane], marker=shape, color=colour, markersize=5.5, zorder=3)
