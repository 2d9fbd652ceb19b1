"""Writes the results into `docs/`: the tables on their page, and a plot for each interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plot, table

__all__ = ["write"]

_DOCS = Path(__file__).parent.parent / "docs" / "benchmarks"
_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"


def write(documents: Sequence[Mapping[str, Any]]) -> Path:
    """Draw each of *documents*, and put their tables between the markers of the page. The text outside them stays."""
    path = _DOCS / "times.md"
    before, begin, rest = path.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{path.name}: the markers {_BEGIN} and {_END} are gone; put them back")
    lines = ["", "", "## Targets", "", table.targets(documents), table.code_targets()]
    for found in documents:
        drawn = f"times-{found['interpreter']}.svg"
        (_DOCS / drawn).write_text(plot.svg(found), encoding="utf-8")
        lines += [*_heading(found), f"![cost against peers]({drawn})", "", *table.sections(found)]
    lines += ["## Not measured", "", table.gaps(documents)]
    path.write_text(before + begin + "\n".join(lines) + "\n" + end + after, encoding="utf-8")
    return path


def _heading(found: Mapping[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    machine = f"Python {found['python']}, {found['platform']}, {found['processors']} processors"
    setup = f"{machine}, {found['date']}, {found['rounds']} rounds. {versions}."
    return [f"## {found['interpreter']}", "", setup, ""]
