"""Draws the results of an interpreter: the cost of each case, ours and the peers', on a logarithmic scale."""

from __future__ import annotations

import io
import itertools
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks import table
from benchmarks.candidate import OURS

__all__ = ["draw", "svg"]

# Inches. The figure is 10 wide, and legible when a page shows it 800 pixels wide.
_WIDTH, _LEFT, _RIGHT, _EDGE = 10.0, 3.45, 0.8, 0.15
_HEAD, _TITLE, _FOOT = 1.35, 0.58, 0.15
_MIN_ROW, _TEXT_LINE, _LANE = 0.38, 0.158, 0.11
_LABEL_CHARACTERS = 44
_LEGEND_COLUMNS = 5
_MARK_WIDTH = 0.11  # in powers of ten: marks nearer than this would cover each other

_SMALL, _MEDIUM, _LARGE = 9.0, 9.5, 11.0  # points
_NO_LIBRARY = "without a library"

_INK, _FAINT, _PAPER, _BAND, _ACCENT = "#1f2328", "#59636e", "#ffffff", "#f3f5f7", "#d1242f"
_DARK = {_INK: "#e6edf3", _FAINT: "#9198a1", _PAPER: "#0d1117", _BAND: "#161b22", _ACCENT: "#ff6a69"}
#: Shapes and colours of the peers, in their order: distinct without colours too, visible on white and on black.
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
    """A row of a panel: a case, the cost of ours, of the peers, and of what needs no library."""

    label: tuple[str, ...]
    against: tuple[str, ...]
    ours: float | None
    peers: Mapping[str, float]
    no_library: Mapping[str, float]

    @property
    def height(self) -> float:
        """The height in inches: enough for the text, and for marks above each other."""
        text = (len(self.label) + len(self.against)) * _TEXT_LINE + 0.08
        lanes = 2 * max(map(abs, self.lanes.values()), default=0) + 1
        return max(_MIN_ROW, text, lanes * _LANE + 0.12)

    @property
    def lanes(self) -> Mapping[str, int]:
        """The lane of each peer's mark: 0 is the middle, -1 above it, 1 below it, and so on.

        From the left, each mark gets the lane nearest to the middle in which it covers no other mark.
        """
        occupied: dict[int, float] = {}  # the last mark of each lane, as a power of ten
        lanes: dict[str, int] = {}
        for name, cost in sorted(self.peers.items(), key=lambda item: item[1]):
            at = math.log10(cost)
            lanes[name] = lane = next(lane for lane in _lane_numbers() if self._is_free(lane, at, occupied))
            occupied[lane] = at
        return lanes

    def _is_free(self, lane: int, at: float, occupied: Mapping[int, float]) -> bool:
        if lane == 0 and self.ours and abs(at - math.log10(self.ours)) < _MARK_WIDTH:
            return False
        return at - occupied.get(lane, -math.inf) >= _MARK_WIDTH


@dataclass(frozen=True)
class _Panel:
    """A group of cases."""

    title: str
    against: str
    no_library: str
    lines: tuple[_Line, ...]

    @property
    def height(self) -> float:
        """The height in inches, without the title above the rows."""
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
    panels = [panel for panel in (_panel(cases, found["peers"]) for cases in _groups(found)) if panel.lines]
    height = _HEAD + sum(panel.height + _TITLE for panel in panels) + _FOOT
    figure = Figure(figsize=(_WIDTH, height), facecolor=_PAPER)
    marks = dict(zip(found["peers"], itertools.cycle(_MARKS), strict=False))
    _draw_head(figure, found, marks, height)
    limits = _limits([line for panel in panels for line in panel.lines])
    top = height - _HEAD
    for panel in panels:
        top -= _TITLE
        left, right = _EDGE / _WIDTH, 1 - _RIGHT / _WIDTH
        figure.text(left, (top + 0.24) / height, panel.title, size=_LARGE, weight="bold", color=_INK)
        figure.text(left, (top + 0.07) / height, panel.against, size=_SMALL, color=_FAINT)
        figure.text(right, (top + 0.24) / height, panel.no_library, size=_SMALL, color=_FAINT, ha="right")
        top -= panel.height
        box = (_LEFT / _WIDTH, top / height, 1 - (_LEFT + _RIGHT) / _WIDTH, panel.height / height)
        axes = figure.add_axes(box)
        _set_scale(axes, limits, panel.height)
        _draw_rows(axes, panel.lines, marks)
    return figure


def _lane_numbers() -> Iterator[int]:
    yield 0
    for distance in itertools.count(1):
        yield from (-distance, distance)


def _groups(found: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """Return the cases of each group that have a reference. The others are counts, mostly 0, and have no ratio."""
    cases = [case for case in found["cases"] if case["reference"]]
    return [list(members) for _, members in itertools.groupby(cases, lambda case: str(case["group"]))]


def _panel(cases: Sequence[Mapping[str, Any]], peers: Sequence[str]) -> _Panel:
    """Return the panel of a group of cases. A reference that all of them share is below the title, not in every row."""
    shared = len({case["reference"] for case in cases}) == 1
    lines = tuple(line for case in cases for line in _lines(case, peers, shared=shared))
    against = f"against {cases[0]['reference']}" if shared else ""
    names = {name: None for line in lines for name in line.no_library}
    return _Panel(str(cases[0]["group"]).capitalize(), against, f"grey bar: {', '.join(names)}" if names else "", lines)


def _lines(case: Mapping[str, Any], peers: Sequence[str], *, shared: bool) -> list[_Line]:
    """Return the rows of a case: one, and one for each further row of ours."""
    costs = {
        row["candidate"]: 1 / row["ratio"] if case["throughput"] else row["ratio"]
        for row in case["rows"]
        if row["ratio"]
    }
    own = [name for name in costs if name.startswith(OURS)]
    others = {name: cost for name, cost in costs.items() if name not in (*own, case["reference"])}
    of_peers = {name: cost for name, cost in others.items() if name in peers}
    rest = {name: cost for name, cost in others.items() if name not in peers}
    label = str(case["label"]).replace(": throughput", ": time")  # what is drawn is its inverse
    against = () if shared else tuple(textwrap.wrap(f"against {case['reference']}", _LABEL_CHARACTERS))
    first = _Line(tuple(textwrap.wrap(label, _LABEL_CHARACTERS)), against, costs.get(OURS), of_peers, rest)
    more = [_Line((f"{label}:", f"{name}"), (), costs[name], {}, {}) for name in own if name != OURS]
    return [first, *more] if costs else []


def _limits(lines: Sequence[_Line]) -> tuple[float, float]:
    costs = [
        1.0,
        *(line.ours for line in lines if line.ours),
        *(cost for line in lines for cost in (*line.peers.values(), *line.no_library.values())),
    ]
    return min(costs) / 1.5, max(costs) * 1.5


def _draw_head(figure: Figure, found: Mapping[str, Any], marks: Mapping[str, tuple[str, str]], height: float) -> None:
    left = _EDGE / _WIDTH
    title = f"Cost against peers, Python {found['python']}"
    figure.text(left, 1 - 0.3 / height, title, size=13, weight="bold", color=_INK)
    explanation = "Cost as a multiple of the reference, the line at 1. Left is cheaper. The scale is logarithmic."
    figure.text(left, 1 - 0.54 / height, explanation, size=_MEDIUM, color=_INK)
    measured = table.others(found, found["cases"])
    handles = [_handle(OURS, "D", _ACCENT, 8.5)]
    handles += [_handle(name, *mark, 6.5) for name, mark in marks.items() if name in measured]
    if not set(marks).issuperset(measured):
        handles.append(_handle(_NO_LIBRARY, "|", _FAINT, 10))
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, 1 - 0.6 / height),
        ncols=_LEGEND_COLUMNS,
        frameon=False,
        fontsize=_MEDIUM,
        labelcolor=_INK,
        handletextpad=0.3,
        columnspacing=1.6,
    )


def _handle(name: str, shape: str, colour: str, size: float) -> Line2D:
    return Line2D([], [], linestyle="", marker=shape, color=colour, markersize=size, label=name)


def _set_scale(axes: Axes, limits: tuple[float, float], height: float) -> None:
    """Set up a panel: powers of ten above it, inches downwards."""
    axes.set_xscale("log")
    axes.set_xlim(limits)
    axes.set_ylim(height, 0)
    axes.set_facecolor(_PAPER)
    for spine in axes.spines.values():
        spine.set_visible(False)
    ticks = [10.0**power for power in range(math.ceil(math.log10(limits[0])), math.floor(math.log10(limits[1])) + 1)]
    axes.set_xticks(ticks, [f"{tick:g}x" for tick in ticks], color=_FAINT, size=_SMALL)
    axes.set_xticks([], minor=True)
    axes.set_yticks([])
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False, pad=2)
    axes.grid(axis="x", color=_FAINT, linewidth=0.5, alpha=0.35)
    axes.axvline(1, color=_INK, linewidth=1, zorder=1)


def _draw_rows(axes: Axes, lines: Sequence[_Line], marks: Mapping[str, tuple[str, str]]) -> None:
    top = 0.0
    beside = axes.get_yaxis_transform()
    left, right = (_EDGE - _LEFT) / (_WIDTH - _LEFT - _RIGHT), 1.015
    for place, line in enumerate(lines):
        middle = top + line.height / 2
        if place % 2 == 0:
            axes.axhspan(top, top + line.height, color=_BAND, linewidth=0, zorder=0)
        texts = [(text, _INK) for text in line.label] + [(text, _FAINT) for text in line.against]
        for number_of, (text, colour) in enumerate(texts):
            at = middle + (number_of - (len(texts) - 1) / 2) * _TEXT_LINE
            axes.text(left, at, text, transform=beside, size=_SMALL, color=colour, va="center_baseline")
        _draw_marks(axes, middle, line, marks)
        if line.ours is not None:
            axes.plot(line.ours, middle, marker="D", color=_ACCENT, markersize=8, zorder=4)
            ratio = f"{table.number(line.ours)}x"
            axes.text(
                right, middle, ratio, transform=beside, size=_LARGE, weight="bold", color=_ACCENT, va="center_baseline"
            )
        top += line.height


def _draw_marks(axes: Axes, middle: float, line: _Line, marks: Mapping[str, tuple[str, str]]) -> None:
    """Draw everything but ours."""
    for cost in line.no_library.values():
        axes.plot(cost, middle, marker="|", color=_FAINT, markersize=12, markeredgewidth=2, zorder=2)
    lanes = line.lanes
    for name, cost in line.peers.items():
        shape, colour = marks[name]
        axes.plot(cost, middle + lanes[name] * _LANE, marker=shape, color=colour, markersize=6, zorder=3)
