"""What this project has set itself. Kept apart from the cases, so that a change of target is seen as one."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.candidate import OURS

__all__ = ["TARGETS", "Target", "target_of"]


@dataclass(frozen=True)
class Target:
    """A limit on the ratio or on the value of a case's row."""

    limit: float
    of: str = "ratio"
    at_least: bool = False
    unit: str = ""

    def met(self, ratio: float, value: float) -> bool:
        """Whether a row is within the limit."""
        found = value if self.of == "value" else ratio
        return found >= self.limit if self.at_least else found <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}{self.unit or 'x'}"


TARGETS = {
    "sync-stack": Target(1.4),
    "rejection-fallback": Target(3.0, of="value", unit=" us"),
    "import": Target(1.0),
    "threads": Target(0.95, at_least=True),
}


def target_of(case: str, candidate: str) -> Target | None:
    """Return the target of a row, if it has one."""
    return TARGETS.get(case) if candidate == OURS else None
