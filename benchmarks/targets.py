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


_NOTHING = Target(0, of="value", unit=" objects")

#: By the name of the case. All are set for CPython 3.11 and 3.13.
TARGETS = {
    "sync-stack": Target(0.7),
    "class-stack": Target(0.8),
    "async-stack": Target(0.95),
    "async-full": Target(0.25),
    "failures-stack": Target(4),
    "async-failures-stack": Target(4),
    "rejection-raised": Target(3),
    "async-rejection-raised": Target(3),
    "rejection-fallback": Target(3, of="value", unit=" us"),
    "sync-limit": Target(0.6),
    "threads-64": Target(0.97, at_least=True),
    "import": Target(1),
    "garbage-retry": _NOTHING,
    "garbage-stack": _NOTHING,
    "garbage-limit": _NOTHING,
    "garbage-rejection": _NOTHING,
    "async-garbage-retry": _NOTHING,
    "async-garbage-stack": _NOTHING,
    "async-garbage-limit": _NOTHING,
    "async-garbage-rejection": _NOTHING,
}


def target_of(case: str, candidate: str) -> Target | None:
    """Return the target of a row, if it has one."""
    return TARGETS.get(case) if candidate == OURS else None
