"""What is written into `docs/`: the results on the page, and a plot for each interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plot, table

__all__ = ["write"]

_DOCS = Path(__file__).parent.parent / "docs"
_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"


def write(documents: Sequence[Mapping[str, Any]]) -> Path:
    """Draw each of *documents* and put them between the markers of the page; what is around those is kept."""
    path = _DOCS / "benchmarks.md"
    before, begin, rest = path.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{path.name}: the markers {_BEGIN} and {_END} are gone; put them back")
    lines = ["", "", "## Targets", "", table.targets(documents), table.code_targets()]
    for found in documents:
        drawn = f"benchmarks-{found['interpreter']}.svg"
        (_DOCS / drawn).write_text(plot.svg(found), encoding="utf-8")
        lines += [*_heading(found), f"![cost against peers]({drawn})", "", *table.sections(found)]
    lines += ["## Not measured", "", table.gaps(documents)]
    path.write_text(before + begin + "\n".join(lines) + "\n" + end + after, encoding="utf-8")
    return path


def _heading(found: Mapping[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    machine = f"Python {found['python']}, {found['platform']}, {found['processors']} processors"
    told = f"{machine}, {found['date']}, {found['rounds']} rounds. {versions}."
    return [f"## {found['interpreter']}", "", told, ""]
