"""Draws the simulations, second by second: the load of the dependency, and the share of calls that are answered."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.plot import _ACCENT, _BAND, _FAINT, _INK, _PAPER, _dark

__all__ = ["draw", "svg"]

_WIDTH, _HEIGHT = 10.0, 6.6
#: Shares of the figure: where each column begins, how wide it is, and bottom and height of its panels.
_COLUMNS, _BROAD = {"outage": 0.185, "overload": 0.605}, 0.385
_LOAD, _ANSWERED = (0.42, 0.305), (0.075, 0.27)
_TITLES = {
    "outage": ("It dies for 60 s", "and comes back with 1.2x what is offered."),
    "overload": ("It is slow for 20 s", "with 0.5x what is offered, and comes back with 1.2x."),
}
#: Colour, line and width. Each lies on top of those before it: the broad ones below, so that all can be seen.
_LINES: Mapping[str, tuple[str, Any, float]] = {
    "tenacity": ("#c855a5", "-", 1.6),
    "stamina": ("#e08214", "-", 1.6),
    "ours, without a budget": ("#2b83c6", "-", 3.6),
    "tenacity, 3 attempts": ("#2ca02c", "-", 1.8),
    "stamina, 3 attempts": ("#93742f", (0, (1, 1.5)), 1.8),
    "ours, with a budget": (_ACCENT, "-", 2.8),
    "no retry": (_INK, (0, (2, 2)), 1.2),
}


def svg(found: Mapping[str, Any]) -> str:
    """Return the picture as SVG: the same results, the same text."""
    text = io.StringIO()
    fonts = ["DejaVu Sans", "Verdana", "Arial"]  # wide ones first: what fits with them fits with others
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "storm", "font.sans-serif": fonts}):
        draw(found).savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    lines = (line.rstrip() for line in text.getvalue().splitlines())
    return "\n".join(lines).replace("</style>", f"{_dark()}</style>", 1) + "\n"


def draw(found: Mapping[str, Any]) -> Figure:
    """Return the figure: a column for each scene, the load above, the answers below."""
    figure = Figure(figsize=(_WIDTH, _HEIGHT), facecolor=_PAPER)
    _head(figure)
    scenes = found["scenes"]
    top = 1.6 * max(max(row["load"]) for scene in scenes.values() for row in scene["rows"] if row["shown"])
    for name, left in _COLUMNS.items():
        title, below = _TITLES[name]
        up = sum(_LOAD)
        figure.text(left, up + 0.047, title, size=10.5, weight="bold", color=_INK)
        figure.text(left, up + 0.016, below, size=9, color=_FAINT)
        load = figure.add_axes((left, _LOAD[0], _BROAD, _LOAD[1]))
        good = figure.add_axes((left, _ANSWERED[0], _BROAD, _ANSWERED[1]))
        for axes in (load, good):
            _panel(axes, scenes[name])
        _loads(load, scenes[name], top)
        _answers(good, scenes[name])
        if left != min(_COLUMNS.values()):  # the first column says it for both
            load.tick_params(labelleft=False)
            good.tick_params(labelleft=False)
    edge = 0.015
    figure.text(edge, sum(_LOAD) - 0.03, "Requests sent", size=9, weight="bold", color=_INK)
    figure.text(edge, sum(_LOAD) - 0.057, "for each call begun", size=8.5, color=_FAINT)
    figure.text(edge, sum(_ANSWERED) + 0.012, "Calls answered", size=9, weight="bold", color=_INK)
    figure.text(_COLUMNS["outage"], sum(_ANSWERED) + 0.012, "of those begun then", size=8.5, color=_FAINT)
    return figure


def _head(figure: Figure) -> None:
    figure.text(0.015, 0.955, "Retry storms", size=13, weight="bold", color=_INK)
    explanation = (
        "A thousand clients, a call a second each. Grey: the dependency is in trouble. Loads on a logarithmic scale."
    )
    figure.text(0.015, 0.92, explanation, size=9.5, color=_INK)
    handles = [
        Line2D([], [], color=colour, linestyle=style, linewidth=width, label=name)
        for name, (colour, style, width) in reversed(list(_LINES.items()))
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.005, 0.915),
        ncols=4,
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
        handlelength=2.6,
        columnspacing=1.8,
    )


def _panel(axes: Axes, scene: Mapping[str, Any]) -> None:
    axes.set_xlim(0, scene["healthy"] + scene["trouble"] + scene["after"])
    axes.set_facecolor(_PAPER)
    axes.axvspan(scene["healthy"], scene["healthy"] + scene["trouble"], color=_BAND, linewidth=0, zorder=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=_FAINT, pad=3)
    axes.grid(axis="y", color=_FAINT, linewidth=0.5, alpha=0.35)


def _loads(axes: Axes, scene: Mapping[str, Any], top: float) -> None:
    by_name = {row["name"]: row["load"] for row in scene["rows"]}
    for place, (name, (colour, style, width)) in enumerate(_LINES.items()):
        loads = by_name[name]
        seconds = [second + 0.5 for second in range(len(loads))]
        axes.plot(seconds, loads, color=colour, linestyle=style, linewidth=width, zorder=3 + place)
    axes.set_yscale("log")
    axes.set_ylim(0.7, top)
    ticks = [power for power in (1, 10, 100, 1000, 10_000, 100_000) if power < top]
    axes.set_yticks(ticks, [f"{tick:,}x" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.tick_params(labelbottom=False)


def _answers(axes: Axes, scene: Mapping[str, Any]) -> None:
    """Draw a strip for each: lines would cover each other, since most of them are at all or at nothing."""
    names = [row["name"] for row in scene["rows"] if row["name"] in _LINES]
    by_name = {row["name"]: row["answered"] for row in scene["rows"]}
    for place, name in enumerate(names):
        answered = by_name[name]
        edges = range(len(answered) + 1)
        axes.stairs(
            [place - 0.8 * share for share in answered], edges, baseline=place, color=_LINES[name][0], fill=True
        )
    axes.set_ylim(len(names) - 0.8, -1)
    axes.set_yticks(range(len(names)), names)
    for label in axes.get_yticklabels():
        label.set_color(_INK)
        label.set_verticalalignment("bottom")
    axes.set_xlabel("seconds", size=8.5, color=_FAINT)
