"""The targets this project has set itself, and nothing else: a change of one is a change of this file.

`TARGETS` are for what `python -m benchmarks` measures, on CPython 3.11 and 3.13. `LIMITS` are for the density of the
core's code, which `python -m benchmarks.house` measures. Both commands, and the page, show both: the target, what was
measured, and whether it is met.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.candidate import OURS

__all__ = ["LIMITS", "TARGETS", "Limit", "Target", "target_of"]


@dataclass(frozen=True)
class Target:
    """A limit on the ratio, or on the value, of our row in a case."""

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


class Limit(NamedTuple):
    """A limit on a figure of a package: at most, or at least, so much."""

    value: float
    text: str
    at_least: bool = False

    def keeps(self, found: float) -> bool:
        """Whether *found* is within the limit."""
        return found >= self.value if self.at_least else found <= self.value

    def __str__(self) -> str:
        return f"at {'least' if self.at_least else 'most'} {self.value:g}"


_NO_GARBAGE = Target(0, of="value", unit=" objects")

#: By the name of the case.
TARGETS = {
    # A call that succeeds, to an empty decorator.
    "sync-stack": Target(0.8),
    "class-stack": Target(0.8),
    "async-stack": Target(1),
    # A time limit that does not expire, to `asyncio.timeout` and to a thread pool.
    "async-full": Target(0.25),
    "sync-limit": Target(0.6),
    # Two failures, then success, to a loop with `try`.
    "failures-retry": Target(5),
    "failures-stack": Target(5),
    "async-failures-retry": Target(5),
    "async-failures-stack": Target(5),
    # A rejection by an open circuit, to raising an exception.
    "rejection-raised": Target(3),
    "async-rejection-raised": Target(3),
    "rejection-fallback": Target(3, of="value", unit=" us"),
    # A call that finds a free slot, to a counter under a lock.
    "sync-bulkhead": Target(1.5),
    "method-bulkhead": Target(1.5),
    "async-bulkhead": Target(1.5),
    # A call that finds a free token, to GCRA under a lock.
    "sync-rate-limit": Target(1.5),
    "async-rate-limit": Target(1.5),
    # The throughput of many threads, to that without a breaker.
    "threads-64": Target(0.97, at_least=True),
    # What comes before the first call.
    "import": Target(1),
    "decorating-signatures": Target(20),
    "memory-signatures": Target(6000, of="value", unit=" bytes"),
    # What a failed call leaves to the garbage collector.
    "garbage-retry": _NO_GARBAGE,
    "garbage-stack": _NO_GARBAGE,
    "garbage-limit": _NO_GARBAGE,
    "garbage-rejection": _NO_GARBAGE,
    "async-garbage-retry": _NO_GARBAGE,
    "async-garbage-stack": _NO_GARBAGE,
    "async-garbage-limit": _NO_GARBAGE,
    "async-garbage-rejection": _NO_GARBAGE,
}

#: By the figure of a `benchmarks.house.Package`, or of each of its functions.
LIMITS = {
    "code": Limit(11_300, "code lines"),
    "ternaries": Limit(1, "ternaries per 100 code lines"),
    "branch_points": Limit(15, "branch points per 100 code lines"),
    "docstring_lines": Limit(30, "docstring lines per 100 code lines", at_least=True),
    "complexity": Limit(15, "complexity"),
    "parameters": Limit(12, "parameters"),
}


def target_of(case: str, candidate: str) -> Target | None:
    """Return the target of a row, if it has one."""
    return TARGETS.get(case) if candidate == OURS else None
