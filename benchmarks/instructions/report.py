"""The counts, as a table and as JSON."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.instructions.counting import Count

__all__ = ["document", "interpreter", "table"]

_HEAD = ("case", "ours", "reference", "", "ratio", "limit")


def interpreter() -> str:
    """Return the name and version of this interpreter."""
    return f"{sys.implementation.name}-{platform.python_version()}"


def table(counts: Sequence[Count], limits: Mapping[str, float]) -> str:
    """Return *counts* as lines to read."""
    rows = [_HEAD, *(_cells(count, limits.get(count.case.name)) for count in counts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [f"{interpreter()}, instructions per call", ""]
    for row in rows:
        cells = [
            cell.ljust(width) if column in {0, 3} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _cells(count: Count, limit: float | None) -> tuple[str, ...]:
    said = "none" if limit is None else f"{limit:.2f}" + ("" if count.ratio <= limit else " exceeded")
    case = count.case
    return case.name, f"{count.ours:,.0f}", f"{count.reference:,.0f}", case.against, f"{count.ratio:.3f}", said


def document(counts: Sequence[Count], limits: Mapping[str, float], valgrind: str) -> dict[str, Any]:
    """Return *counts* as JSON holds them."""
    return {
        "interpreter": interpreter(),
        "valgrind": valgrind,
        "unit": "instructions per call",
        "cases": [
            {
                "name": count.case.name,
                "title": count.case.title,
                "reference": count.case.against,
                "ours": round(count.ours, 1),
                "of_reference": round(count.reference, 1),
                "ratio": round(count.ratio, 4),
                "limit": limits.get(count.case.name),
            }
            for count in counts
        ],
    }
