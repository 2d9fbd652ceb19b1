"""Results as Markdown."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import house
from benchmarks.candidate import OURS
from benchmarks.targets import TARGETS

__all__ = ["code_targets", "gaps", "markdown", "number", "others", "sections", "targets"]

_MET = {None: "", True: "met", False: "**not met**"}

Document = Mapping[str, Any]
Result = Mapping[str, Any]


def markdown(found: Document) -> str:
    """Return the results of one interpreter: targets, a table for each group of cases, and the gaps."""
    judged = ["## Targets", "", targets([found]), code_targets()]
    return "\n".join([*judged, *sections(found), "## Not measured", "", gaps([found])])


def targets(documents: Sequence[Document]) -> str:
    """Return every target with the result of each interpreter."""
    names = [found["interpreter"] for found in documents]
    lines = [_line(["case", "against", "target", *names]), _line(["---"] * 3 + ["---:"] * len(names))]
    for name in TARGETS:
        cases = [_case(found, name) for found in documents]
        known = [case for case in cases if case is not None]
        if known:
            row = _ours(known[0])
            cells = [_title(known[0]), known[0]["reference"], row["target"] if row else ""]
            lines.append(_line([*cells, *(_against_target(case) for case in cases)]))
    return "\n".join([*lines, ""])


def code_targets() -> str:
    """Return every target for the density of the core's code, with what it is now."""
    lines = [_line(["code of the core", "target", "measured", ""]), _line(["---", "---", "---:", "---"])]
    for found in house.verdicts(house.core()):
        worst = f" ({found.function})" if found.function else ""
        lines.append(_line([found.text + worst, found.limit, f"{found.measured:.5g}", _MET[found.met]]))
    return "\n".join([*lines, ""])


def sections(found: Document) -> list[str]:
    """Return the table of each group of cases, as lines."""
    lines = []
    for group, members in itertools.groupby(found["cases"], lambda case: str(case["group"])):
        cases = list(members)
        rest = others(found, cases)
        head = ["case", "against", "ours", "ratio", "target", "verdict", *rest]
        lines += [f"### {group.capitalize()}", "", _line(head)]
        lines.append(_line(["---"] * 2 + ["---:"] * 2 + ["---"] * 2 + ["---:"] * len(rest)))
        lines += [_line(cells) for case in cases for cells in _rows(case, rest)]
        lines.append("")
    return lines


def gaps(documents: Sequence[Document]) -> str:
    """Return the reasons why a candidate is missing in a case: it has no such thing, or it failed."""
    reasons: dict[str, dict[str, dict[str, None]]] = {}  # candidate -> reason -> interpreters
    for found in documents:
        for case in found["cases"]:
            missing = dict(case["left_out"])
            for row in case["rows"]:
                if row["value"] is None:
                    missing[row["candidate"]] = f"{row['status']} ({case['name']}, {found['interpreter']})"
            for name, reason in missing.items():
                reasons.setdefault(name, {}).setdefault(reason, {})[found["interpreter"]] = None
    lines = []
    for name, of_candidate in sorted(reasons.items()):
        texts = [_reason(reason, list(where), len(documents)) for reason, where in of_candidate.items()]
        lines.append(f"* {name}: {'; '.join(texts)}.")
    return "\n".join([*lines, ""])


def _reason(reason: str, interpreters: Sequence[str], documents: int) -> str:
    """Return the reason, with its interpreters if it is not one for all of them."""
    if len(interpreters) == documents or reason.startswith("failed"):
        return reason
    return f"{reason} ({', '.join(interpreters)})"


def others(found: Document, cases: Sequence[Result]) -> list[str]:
    """Return the columns of *cases* besides ours and the reference: those without a library, then the peers."""
    names = {row["candidate"] for case in cases for row in case["rows"] if not row["candidate"].startswith(OURS)}
    references = {case["reference"] for case in cases}
    return [*sorted(names - references - set(found["peers"])), *(name for name in found["peers"] if name in names)]


def number(found: float) -> str:
    """Return *found* with three digits."""
    return f"{found:.0f}" if found >= 100 else f"{found:.3g}"


def _case(found: Document, name: str) -> Result | None:
    return next((case for case in found["cases"] if case["name"] == name), None)


def _title(case: Result) -> str:
    return f"{case['group']}: {case['label']}"


def _ours(case: Result) -> Mapping[str, Any] | None:
    return next((row for row in case["rows"] if row["candidate"] == OURS), None)


def _against_target(case: Result | None) -> str:
    row = _ours(case) if case else None
    if case is None or row is None:
        return "-"
    if row["value"] is None:
        return "failed **not met**"
    in_units = not str(row["target"]).endswith("x")
    found = f"{number(row['value'])} {_unit(case)}" if in_units else number(row["ratio"])
    return f"{found} {_verdict(row)}"


def _verdict(row: Mapping[str, Any]) -> str:
    return _MET[row["met"]]


def _rows(case: Result, rest: Sequence[str]) -> list[list[str]]:
    rows = {row["candidate"]: row for row in case["rows"]}
    lines = []
    for name in [name for name in rows if name.startswith(OURS)] or [OURS]:
        row = rows.get(name)
        label = case["label"] if name == OURS else f"{case['label']} ({name})"
        cells = [_other(case, rows.get(other)) for other in rest] if name == OURS else [""] * len(rest)
        lines.append([label, case["reference"], *_own(case, row), *cells])
    return lines


def _own(case: Result, row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return ["-"] * 4
    target = row["target"] or ""
    if row["value"] is None:
        return [row["status"], "", target, _verdict(row)]
    return [f"{number(row['value'])} {_unit(case)}", _spread(case, row), target, _verdict(row)]


def _spread(case: Result, row: Mapping[str, Any]) -> str:
    if not case["reference"]:
        return ""
    low, high = row["spread"]
    return f"{number(row['ratio'])}" if low == high else f"{number(row['ratio'])} [{number(low)}, {number(high)}]"


def _other(case: Result, row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "-"
    if row["value"] is None:
        return "failed"
    return number(row["ratio"] if case["reference"] else row["value"])


def _unit(case: Result) -> str:
    return str(case["unit"]).partition(" ")[0]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
