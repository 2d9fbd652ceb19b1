"""The results as a JSON document, as tables in Markdown, and on their page in `docs/`."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.half_open.scenarios import NOT_APPLICABLE, RIGHT, WRONG, Cell, Scenario
from benchmarks.half_open.terms import Library

__all__ = ["document", "markdown", "reasons", "write"]

_ROOT = Path(__file__).parent.parent.parent
_RESULTS = _ROOT / "benchmarks" / "results" / "half_open.json"
_PAGE = _ROOT / "docs" / "benchmarks" / "half-open.md"
_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"

Document = Mapping[str, Any]


def document(libraries: Sequence[Library], groups: Mapping[str, Mapping[Scenario, Sequence[Cell]]]) -> dict[str, Any]:
    """Return the results as a document. *groups*: for each scenario its cells, library by library."""
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
        "expected": scenario.expected,
        "cells": {
            cell.library: {
                "verdict": cell.verdict,
                "findings": [
                    {"style": finding.style, "verdict": finding.verdict, "reason": finding.reason}
                    for finding in cell.findings
                ],
            }
            for cell in cells
        },
    }


def markdown(found: Document) -> str:
    """Return the tables: for each bug the libraries that have it, and how many each library is right in."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    lines = [f"Python {found['python']}. {versions}.", ""]
    for group, rows in found["groups"].items():
        lines += [f"### {group}", "", *_table(("bug", "wrong in", "does not apply to"))]
        lines += [_line([row["title"], _names(row, WRONG), _names(row, NOT_APPLICABLE)]) for row in rows]
        lines += [""]
    lines += ["### Right in", "", *_table(("library", *found["groups"]))]
    lines += [_line([name, *(_score(rows, name) for rows in found["groups"].values())]) for name in found["libraries"]]
    return "\n".join(lines) + "\n"


def reasons(found: Document) -> str:
    """Return, library by library, the reasons of all verdicts that are not `right`."""
    lines = ["### Reasons", ""]
    for name in found["libraries"]:
        of_library = [line for rows in found["groups"].values() for row in rows for line in _reasons(row, name)]
        lines += [f"**{name}**:", "", *(of_library or ["Right in all that apply."]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(columns: Sequence[str]) -> list[str]:
    return [_line(columns), _line(["---"] * len(columns))]


def _names(row: Mapping[str, Any], verdict: str) -> str:
    return ", ".join(name for name, cell in row["cells"].items() if cell["verdict"] == verdict)


def _score(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    verdicts = [row["cells"][name]["verdict"] for row in rows]
    return f"{verdicts.count(RIGHT)} of {len(verdicts) - verdicts.count(NOT_APPLICABLE)}"


def _reasons(row: Mapping[str, Any], name: str) -> list[str]:
    """Return the reasons for the verdict on one library in one scenario; styles with the same reason together."""
    cell = row["cells"][name]
    if cell["verdict"] == RIGHT:
        return []
    styles: dict[str, list[str]] = {}
    for finding in cell["findings"]:
        if finding["verdict"] == cell["verdict"]:
            styles.setdefault(finding["reason"], []).append(finding["style"])
    shown = [f"{reason} ({', '.join(names)})" if any(names) else reason for reason, names in styles.items()]
    mark = "does not apply, " if cell["verdict"] == NOT_APPLICABLE else ""
    return [f"* {row['title']}: {mark}{'; '.join(shown)}."]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(found: Document) -> None:
    """Write *found*, and its tables between the markers of the page. The text outside the markers stays."""
    before, begin, rest = _PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{_PAGE.name}: the markers {_BEGIN} and {_END} are gone; put them back")
    _RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    _PAGE.write_text(f"{before}{begin}\n\n{markdown(found)}\n{end}{after}", encoding="utf-8")
