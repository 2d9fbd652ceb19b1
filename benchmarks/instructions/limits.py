"""The limit of each case: so many times the instructions of its reference.

A limit is 1.15 times the largest ratio measured with any of several interpreters, rounded up. The margin is not for
noise, of which there is next to none: it is for interpreters that were built otherwise, where the same code comes to
other ratios, and for small changes that are meant. `limits.json` is written by
``python -m benchmarks.instructions --write-limits PYTHON ...``, and by nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.instructions.counting import Count

__all__ = ["FILE", "MARGIN", "exceeded", "limit_for", "load", "write"]

FILE = Path(__file__).parent / "limits.json"
MARGIN = 1.15


def load(path: Path = FILE) -> dict[str, float]:
    """Return the limit of each case."""
    limits: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["limits"]
    return limits


def write(measured: Mapping[str, Mapping[str, float]], path: Path = FILE) -> None:
    """Write the limits that follow from the ratios *measured*: interpreter, case, ratio."""
    rounded = {where: {case: round(ratio, 3) for case, ratio in ratios.items()} for where, ratios in measured.items()}
    cases = dict.fromkeys(case for ratios in rounded.values() for case in ratios)
    limits = {case: limit_for([ratios[case] for ratios in rounded.values() if case in ratios]) for case in cases}
    path.write_text(json.dumps({"limits": limits, "measured": rounded}, indent=1) + "\n", encoding="utf-8")


def limit_for(ratios: Sequence[float]) -> float:
    """Return the limit that leaves the margin above the largest of *ratios*, rounded up to hundredths."""
    return math.ceil(round(max(ratios) * MARGIN * 100, 6)) / 100  # 114.99999999999999 is 115


def exceeded(counts: Sequence[Count], limits: Mapping[str, float]) -> list[str]:
    """Return a complaint for each case beyond its limit, or without one."""
    return [complaint for count in counts if (complaint := _complaint(count, limits.get(count.case.name)))]


def _complaint(count: Count, limit: float | None) -> str | None:
    name, against = count.case.name, count.case.against
    if limit is None:
        return f"{name}: has no limit; --write-limits gives it one"
    if count.ratio <= limit:
        return None
    return (
        f"{name}: {count.ratio:.3f} times the instructions of its reference ({against}), and the limit is {limit:g}\n"
        f"  see where they go: python -m benchmarks.instructions --profile --case {name}"
    )
