"""The results as a JSON document, as tables, and on their page in `docs/`."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.storm.dependency import Scene
from benchmarks.storm.plot import svg
from benchmarks.storm.strategies import DISTRIBUTIONS, Strategy
from resilience.simulation import Simulation

__all__ = ["SCENES", "document", "entry", "markdown", "tables", "write"]

_ROOT = Path(__file__).parent.parent.parent
_RESULTS = _ROOT / "benchmarks" / "results" / "storm.json"
_PAGE = _ROOT / "docs" / "benchmarks" / "storm.md"
_PLOT = _ROOT / "docs" / "benchmarks" / "storm.svg"
_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"

SCENES = {"outage": "It dies", "overload": "It is slow"}
_HEAD = (
    "",
    "peak load",
    "load meanwhile",
    "load after",
    "answered, of the calls after",
    "answered again after",
    "clients simulated",
)
_RANDOM = "Some requests fail at random"
_RANDOM_HEAD = ("failing", "with", "requests per call, with a budget", "without", "answered, with a budget", "without")

Document = Mapping[str, Any]
Table = tuple[str, tuple[str, ...], list[list[str]]]


def entry(strategy: Strategy, scene: Scene, result: Simulation) -> dict[str, Any]:
    """Return the *result* of *strategy* in *scene*. Loads are requests for each call begun: 1 without any retry."""
    series, returns = result.series, int(scene.returns)
    found = {
        "name": strategy.name,
        "code": strategy.code,
        "clients": round(result.scenario.rps),
        "processes": strategy.processes,
        "requests": sum(series.sent),
        "calls": sum(series.arrivals),
        "peak": round(result.peak_amplification, 4),
    }
    if scene.failing:
        return found | {
            "failing": scene.failing,
            "failure": scene.failure.__name__,
            "answered": round(series.share(series.answered, 0, len(series)), 4),
        }
    return found | {
        "meanwhile": round(series.share(series.sent, int(scene.healthy), returns), 4),
        "after": round(series.share(series.sent, returns, len(series)), 4),
        "answered_after": round(series.share(series.answered, returns, len(series)), 4),
        "recovery": None if result.recovery is None else round(result.recovery),
        "shown": strategy.shown,
        "load": _each(series.sent, series.arrivals),
        "answered": _each(series.answered, series.arrivals),
    }


def _each(counts: Sequence[int], calls: Sequence[int]) -> list[float]:
    return [round(count / begun, 3) for count, begun in zip(counts, calls, strict=True)]


def document(found: Mapping[str, Sequence[Mapping[str, Any]]], scenes: Mapping[str, Mapping[str, Any]]) -> Document:
    """Return the document of all that was *found*, with the versions it was found with."""
    return {
        "format": "storm",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in DISTRIBUTIONS},
        "scenes": {name: {**scenes[name], "rows": found[name]} for name in SCENES},
        "random": found["random"],
    }


def tables(found: Document) -> list[Table]:
    """Return title, head and rows of each table."""
    of_scenes = [(title, _HEAD, [_row(row) for row in found["scenes"][name]["rows"]]) for name, title in SCENES.items()]
    pairs: dict[tuple[float, str], dict[str, Any]] = {}
    for row in found["random"]:
        pairs.setdefault((row["failing"], row["failure"]), {})[row["name"]] = row
    rows = []
    for (share, failure), pair in pairs.items():
        budget, none = pair.values()
        loads = [f"{row['requests'] / row['calls']:.3f}" for row in (budget, none)]
        answers = [f"{row['answered']:.1%}" for row in (budget, none)]
        rows.append([f"{share:.0%}", _failure(failure), *loads, *answers])
    return [*of_scenes, (_RANDOM, _RANDOM_HEAD, rows)]


def _failure(name: str) -> str:
    return {"ConnectionResetError": "a reset connection: 14 tokens", "Overloaded": "503: 5 tokens"}[name]


def _row(row: Mapping[str, Any]) -> list[str]:
    recovery = "never" if row["recovery"] is None else f"{row['recovery']} s"
    loads = [_times(row[part]) for part in ("peak", "meanwhile", "after")]
    return [row["name"], *loads, f"{row['answered_after']:.0%}", recovery, str(row["clients"])]


def _times(load: float) -> str:
    return f"{load:.0f}x" if load >= 100 else f"{load:.2f}x"


def markdown(found: Document) -> str:
    """Return the tables."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    lines = [f"Python {found['python']}. {versions}.", ""]
    for title, head, rows in tables(found):
        lines += [f"### {title}", "", _line(head), _line(["---", *["---:"] * (len(head) - 1)]), *map(_line, rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(found: Document) -> None:
    """Write *found*, the picture, and the tables between the markers of the page; the text outside them stays."""
    before, begin, rest = _PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{_PAGE.name}: the markers {_BEGIN} and {_END} are gone; put them back")
    text = json.dumps(found, indent=1)
    _RESULTS.write_text(_folded(text) + "\n", encoding="utf-8")
    _PLOT.write_text(svg(found), encoding="utf-8")
    _PAGE.write_text(f"{before}{begin}\n\n{markdown(found)}\n{end}{after}", encoding="utf-8")


def _folded(text: str) -> str:
    """Return *text* with each list of numbers on one line: they are a second each, and many."""
    lines: list[str] = []
    for line in text.splitlines():
        part = line.strip()
        if lines and part.rstrip(",").replace(".", "", 1).isdigit():
            lines[-1] += part if lines[-1].endswith("[") else f" {part}"
        elif lines and part.startswith("]") and lines[-1][-1].isdigit():
            lines[-1] += part
        else:
            lines.append(line)
    return "\n".join(lines)
