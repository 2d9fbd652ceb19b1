"""The common parts of the pictures: the head with its legend, a panel, and SVG that follows a dark screen."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.plot import _ACCENT, _FAINT, _INK, _PAPER, _dark

__all__ = ["ACCENT", "FAINT", "INK", "heading", "panel", "svg"]

INK, FAINT, ACCENT = _INK, _FAINT, _ACCENT
_WIDTH, _HEIGHT = 10.0, 4.4
#: Shares of the figure: where each of two panels begins, their width, bottom and height.
_LEFTS, _BROAD, _BOTTOM, _HIGH = (0.055, 0.56), 0.425, 0.115, 0.545


def svg(figure: Figure, salt: str) -> str:
    """Return a figure as SVG: the same results, the same text."""
    text = io.StringIO()
    fonts = ["DejaVu Sans", "Verdana", "Arial"]  # wide ones first: what fits with them fits with others
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.sans-serif": fonts}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    lines = (line.rstrip() for line in text.getvalue().splitlines())
    return "\n".join(lines).replace("</style>", f"{_dark()}</style>", 1) + "\n"


def heading(title: str, explanation: str, lines: Mapping[str, tuple[str, Any]]) -> Figure:
    """Return a figure with its title, a sentence, and a legend of *lines*: their colour and style by name."""
    figure = Figure(figsize=(_WIDTH, _HEIGHT), facecolor=_PAPER)
    figure.text(0.015, 0.94, title, size=13, weight="bold", color=INK)
    figure.text(0.015, 0.885, explanation, size=9.5, color=INK)
    handles = [
        Line2D([], [], color=colour, linestyle=style, linewidth=2, label=name)
        for name, (colour, style) in lines.items()
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.005, 0.875),
        ncols=5,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=2.6,
        columnspacing=1.8,
    )
    return figure


def panel(figure: Figure, place: int, title: str, unit: str) -> Axes:
    """Return the axes of the left panel, *place* 0, or of the right one."""
    left, top = _LEFTS[place], _BOTTOM + _HIGH
    figure.text(left, top + 0.058, title, size=10, weight="bold", color=INK)
    figure.text(left, top + 0.018, unit, size=8.5, color=FAINT)
    axes = figure.add_axes((left, _BOTTOM, _BROAD, _HIGH))
    axes.set_facecolor(_PAPER)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=FAINT, pad=3)
    axes.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.35)
    return axes
