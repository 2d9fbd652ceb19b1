"""The results on their page in `docs/`: each table between its markers, with its picture and its JSON."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.load.picture import svg
from benchmarks.load.table import Result, Table, markdown

__all__ = ["write"]

_ROOT = Path(__file__).parent.parent.parent
_RESULTS = _ROOT / "benchmarks" / "results"
_PAGE = _ROOT / "docs" / "benchmarks" / "load.md"
_DOCS = _ROOT / "docs" / "benchmarks"


def _document(found: Result) -> str:
    """Return the text of a file of results; its format keeps it apart from those of other benchmarks."""
    return json.dumps({"format": "load", **found}) + "\n"


def write(table: Table, found: Result) -> None:
    """Write *found*, its picture, and its table between the markers of the page; the text outside them stays."""
    begin, end = f"<!-- {table.name}: begin -->", f"<!-- {table.name}: end -->"
    before, opened, rest = _PAGE.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise ValueError(f"{_PAGE.name}: the markers {begin} and {end} are gone; put them back")
    (_RESULTS / f"load-{table.name}.json").write_text(_document(found), encoding="utf-8")
    if table.draw is not None:
        (_DOCS / f"load-{table.name}.svg").write_text(svg(table.draw(found), table.name), encoding="utf-8")
    _PAGE.write_text(f"{before}{begin}\n\n{markdown(table, found)}\n{end}{after}", encoding="utf-8")
