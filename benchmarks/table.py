"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.candidate import OURS

__all__ = ["markdown", "write_docs"]

_DOCS = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- results: begin -->", "<!-- results: end -->"
_PREAMBLE = f"""# Benchmarks

What a guarded call costs, next to what it costs with other libraries. Everything in a table was measured in one run, in
turn, and is given as a ratio to the reference of its row, measured in the same round: 1 is as fast as the reference, 2
takes twice as long. What stands in the cells is the median; `[a, b]` are the quartiles of our own ratio. Absolute times
depend on the machine, ratios much less.

All candidates are set up alike: 3 attempts without waits, a circuit that opens after 5 failures, no logging. Before
it is timed, each is checked to do what its row says. `-` is something a library does not do; the reasons follow each
table.

`uv run python -m benchmarks` writes this page. `benchmarks/README.md` says how to read it, and how to add a peer or a
case.

{_BEGIN}
{_END}
"""


def write_docs(results: Sequence[Mapping[str, Any]]) -> Path:
    """Put a table for each of *results* between the markers of the page, and keep what is around them."""
    _DOCS.parent.mkdir(exist_ok=True)
    page = _DOCS.read_text(encoding="utf-8") if _DOCS.exists() else _PREAMBLE
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{_DOCS.name}: the markers {_BEGIN} and {_END} are gone; put them back")
    tables = "\n".join(markdown(found) for found in results)
    _DOCS.write_text(f"{before}{begin}\n\n{tables}\n{end}{after}", encoding="utf-8")
    return _DOCS


def markdown(found: Mapping[str, Any]) -> str:
    """Return the results of one interpreter as a section."""
    peers = _peers(found["cases"])
    head = ["case", "against", "ours", "ratio", "target", "verdict", *peers]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    machine = f"Python {found['python']}, {found['platform']}, {found['processors']} processors"
    lines = [
        f"## {found['interpreter']}",
        "",
        f"{machine}, {found['date']}, {found['rounds']} rounds. {versions}.",
        "",
        _line(head),
        _line(["---"] * 2 + ["---:"] * 2 + ["---"] * 2 + ["---:"] * len(peers)),
    ]
    for case in found["cases"]:
        lines += [_line(cells) for cells in _rows(case, peers)]
    return "\n".join([*lines, "", *_reasons(found["cases"])])


def _peers(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    names: dict[str, None] = {}
    for case in cases:
        names |= dict.fromkeys([*case["left_out"], *(row["candidate"] for row in case["rows"])])
    references = {case["reference"] for case in cases if case["name"] != "import"}  # there it is a peer itself
    return sorted(name for name in names if not name.startswith(OURS) and name not in references)


def _rows(case: Mapping[str, Any], peers: Sequence[str]) -> list[list[str]]:
    rows = {row["candidate"]: row for row in case["rows"]}
    cells = []
    for name in [name for name in rows if name.startswith(OURS)] or [OURS]:
        row = rows.get(name)
        title = case["title"] if name == OURS else f"{case['title']} ({name})"
        others = [_peer(case, rows.get(peer)) for peer in peers] if name == OURS else [""] * len(peers)
        cells.append([title, case["reference"], *_ours(case, row), *others])
    return cells


def _ours(case: Mapping[str, Any], row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return ["-"] * 4
    if row["value"] is None:
        return [row["status"], "", row["target"] or "", ""]
    verdict = "" if row["met"] is None else "met" if row["met"] else "**not met**"
    remark = f", {row['reason']}" if row["reason"] else ""
    value = f"{_number(row['value'])} {case['unit'].partition(' ')[0]}{remark}"
    return [value, _spread(case, row), row["target"] or "", verdict]


def _spread(case: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    if _counted(case):
        return ""
    low, high = row["spread"]
    return f"{_number(row['ratio'])}" if low == high else f"{_number(row['ratio'])} [{_number(low)}, {_number(high)}]"


def _peer(case: Mapping[str, Any], row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "-"
    if row["value"] is None:
        return "failed"
    return _number(row["value"] if _counted(case) else row["ratio"])


def _counted(case: Mapping[str, Any]) -> bool:
    return bool(case["reference"] == "one object")


def _number(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _reasons(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    reasons: dict[str, dict[str, list[str]]] = {}
    for case in cases:
        told = dict(case["left_out"])
        told |= {row["candidate"]: row["status"] for row in case["rows"] if row["value"] is None}
        for name, reason in told.items():
            reasons.setdefault(name, {}).setdefault(reason, []).append(case["name"])
    if not reasons:
        return []
    lines = ["Not measured:", ""]
    for name in sorted(reasons):
        lines += [f"* {name} {reason} ({', '.join(cases)})" for reason, cases in reasons[name].items()]
    return [*lines, ""]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
