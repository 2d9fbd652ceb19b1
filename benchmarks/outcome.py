"""What a case comes to, as it is written to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.measure import Taken
from benchmarks.targets import target_of

__all__ = ["CaseResult", "Row", "rows"]


@dataclass(frozen=True)
class Row:
    """What one candidate came to in a case."""

    candidate: str
    status: str
    value: float | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    target: str | None = None
    met: bool | None = None


@dataclass(frozen=True)
class CaseResult:
    """A case: what was measured, in which unit, against what."""

    name: str
    group: str
    label: str
    unit: str
    #: Empty where a count says it all, and a ratio nothing.
    reference: str
    rows: list[Row]
    left_out: dict[str, str] = field(default_factory=dict)
    #: Whether more is better.
    throughput: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)


def rows(case: str, taken: Mapping[str, Taken], failed: Mapping[str, str], scale: float = 1.0) -> list[Row]:
    """Make rows of what was taken and what failed; *scale* turns samples into the case's unit."""
    made = [_row(case, name, found, scale) for name, found in taken.items()]
    return made + [_failed(case, name, reason) for name, reason in failed.items()]


def _failed(case: str, name: str, reason: str) -> Row:
    target = target_of(case, name)
    told = f"failed: {reason}"
    return Row(name, told) if target is None else Row(name, told, target=str(target), met=False)


def _row(case: str, name: str, found: Taken, scale: float) -> Row:
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
    # More digits than these are noise, and make every run a new diff.
    return float(f"{number:.4g}")
