"""The table: as text, as JSON, and on its page."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.half_open.scenarios import NOT, RIGHT, Cell, Scenario
from benchmarks.half_open.terms import Library

__all__ = ["document", "markdown", "write"]

_ROOT = Path(__file__).parent.parent.parent
_RESULTS = _ROOT / "benchmarks" / "results" / "half_open.json"
_PAGE = _ROOT / "docs" / "half-open.md"
_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"

Document = Mapping[str, Any]


def document(libraries: Sequence[Library], groups: Mapping[str, Mapping[Scenario, Sequence[Cell]]]) -> dict[str, Any]:
    """Return what was found, and with what it was found. *groups*: the cells of each scenario, library by library."""
    distributions = [name for library in libraries for name in library.DISTRIBUTIONS]
    return {
        "format": "half-open",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in distributions},
        "libraries": [library.NAME for library in libraries],
        "groups": {
            group: [_row(scenario, cells) for scenario, cells in rows.items()] for group, rows in groups.items()
        },
    }


def _row(scenario: Scenario, cells: Sequence[Cell]) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "title": scenario.title,
        "right": scenario.right,
        "cells": {
            cell.library: {
                "verdict": cell.verdict,
                "findings": [
                    {"road": finding.road, "verdict": finding.verdict, "what": finding.what}
                    for finding in cell.findings
                ],
            }
            for cell in cells
        },
    }


def markdown(found: Document) -> str:
    """Return the tables, and below them what happened where the cell is not `right`."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    lines = [f"Python {found['python']}. {versions}.", ""]
    for group, rows in found["groups"].items():
        lines += [f"## {group}", "", _line(["", *found["libraries"]]), _line(["---"] * (len(found["libraries"]) + 1))]
        lines += [
            _line([row["title"], *(row["cells"][name]["verdict"] for name in found["libraries"])]) for row in rows
        ]
        lines += [_line(["right", *(_score(rows, name) for name in found["libraries"])]), ""]
    lines += ["## What happened", ""]
    for name in found["libraries"]:
        told = [line for rows in found["groups"].values() for row in rows for line in _told(row, name)]
        lines += [f"**{name}**:", "", *told, ""] if told else [f"**{name}**: right wherever it applies.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _score(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    verdicts = [row["cells"][name]["verdict"] for row in rows]
    return f"{verdicts.count(RIGHT)} of {len(verdicts) - verdicts.count(NOT)}"


def _told(row: Mapping[str, Any], name: str) -> list[str]:
    """Return what was found of one library in one scenario, the ways that say the same together."""
    cell = row["cells"][name]
    if cell["verdict"] == RIGHT:
        return []
    told: dict[str, list[str]] = {}
    for finding in cell["findings"]:
        if finding["verdict"] == cell["verdict"]:
            told.setdefault(finding["what"], []).append(finding["road"])
    shown = [what + (f" ({', '.join(roads)})" if any(roads) else "") for what, roads in told.items()]
    mark = "does not apply, " if cell["verdict"] == NOT else ""
    return [f"* {row['title']}: {mark}{'; '.join(shown)}."]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(found: Document) -> None:
    """Write *found*, and its tables between the markers of the page; what is around those is kept."""
    before, begin, rest = _PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{_PAGE.name}: the markers {_BEGIN} and {_END} are gone; put them back")
    _RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    _PAGE.write_text(f"{before}{begin}\n\n{markdown(found)}\n{end}{after}", encoding="utf-8")
