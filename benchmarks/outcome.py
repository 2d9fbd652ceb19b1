"""The result of a case, as it is written to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.measure import Measurement
from benchmarks.targets import target_of

__all__ = ["CaseResult", "Row", "rows"]


@dataclass(frozen=True)
class Row:
    """The result of one candidate in a case."""

    candidate: str
    status: str
    value: float | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    target: str | None = None
    met: bool | None = None


@dataclass(frozen=True)
class CaseResult:
    """The result of a case: its rows, their unit, and the reference of the ratios."""

    name: str
    group: str
    label: str
    unit: str
    #: Empty for counts that are mostly 0, which have no ratio.
    reference: str
    rows: list[Row]
    left_out: dict[str, str] = field(default_factory=dict)
    #: Whether a larger value is better.
    throughput: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)


def rows(case: str, measured: Mapping[str, Measurement], failed: Mapping[str, str], scale: float = 1.0) -> list[Row]:
    """Return the rows of what was *measured* and of what *failed*; *scale* turns samples into the case's unit."""
    made = [_row(case, name, found, scale) for name, found in measured.items()]
    return made + [_failed(case, name, reason) for name, reason in failed.items()]


def _failed(case: str, name: str, reason: str) -> Row:
    target = target_of(case, name)
    status = f"failed: {reason}"
    return Row(name, status) if target is None else Row(name, status, target=str(target), met=False)


def _row(case: str, name: str, found: Measurement, scale: float) -> Row:
    value, low, high = found.value * scale, *found.spread
    target = target_of(case, name)
    return Row(
        name,
        "measured",
        value=_digits(value),
        ratio=_digits(found.ratio),
        spread=(_digits(low), _digits(high)),
        target=None if target is None else str(target),
        met=None if target is None else target.met(found.ratio, value),
    )


def _digits(number: float) -> float:
    # Further digits are noise, and would make every run a new diff.
    return float(f"{number:.4g}")
