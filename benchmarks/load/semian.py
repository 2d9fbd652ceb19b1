"""Circuits through the scenario of Semian's published runs: twenty seconds of trouble, and twenty after it.

Shopify's Semian has measured its classic and its graduated circuit breaker with some 840 calls per second. The rows of
those runs are what it has published; those of ours are simulated, in virtual time, seeded, with as many calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.load.breaker import CIRCUITS, OURS, Run
from benchmarks.load.table import Progress, Result, Table

__all__ = ["PUBLISHED", "TABLE", "complaints", "find", "rows"]

_RATE, _HEALTHY, _TROUBLE = 840.0, 60, 20
_BACKGROUND = 0.01
_SEED = 1

PUBLISHED: Sequence[dict[str, Any]] = (
    {"name": "Semian, classic", "succeeded": 2840 / 16789, "rejected_after": 0.83, "let_through": 0.038},
    {"name": "Semian, graduated", "succeeded": 11103 / 16657, "rejected_after": 0.065, "let_through": 0.183},
)


def find(progress: Progress = lambda _: None) -> Result:
    """Simulate each circuit, with 20 % errors and with 100 %."""
    found = []
    for name, make in CIRCUITS.items():
        progress(name)
        phases = (_HEALTHY, _BACKGROUND), (_TROUBLE, 0.2), (_TROUBLE, _BACKGROUND)
        trouble = Run(make(), _RATE, _SEED).play(*phases)
        outage = Run(make(), _RATE, _SEED).play((_HEALTHY, _BACKGROUND), (_TROUBLE, 1.0))
        succeeded, _, _ = trouble.shares(_HEALTHY, _HEALTHY + _TROUBLE)
        _, _, rejected = trouble.shares(_HEALTHY + _TROUBLE)
        _, let_through, _ = outage.shares(_HEALTHY)
        found.append(
            {"name": name, "succeeded": succeeded, "rejected_after": rejected, "let_through": let_through},
        )
    return {"rows": [*PUBLISHED, *found]}


def rows(found: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return head and rows of the table."""
    head = ["circuit", "20% fail: succeeded, of 80%", "rejected in the 20 s after", "all fail: let through"]
    return head, [
        [row["name"], f"{row['succeeded']:.1%}", f"{row['rejected_after']:.1%}", f"{row['let_through']:.2%}"]
        for row in found["rows"]
    ]


def complaints(found: Result) -> Sequence[str]:
    """Return what a partial circuit does worse than Semian's graduated one."""
    by_name = {row["name"]: row for row in found["rows"]}
    ours, theirs = by_name[OURS], by_name["Semian, graduated"]
    said = []
    if ours["succeeded"] < theirs["succeeded"] - 0.02:
        said.append(f"semian: {ours['succeeded']:.3f} succeed, and {theirs['succeeded']:.3f} there")
    said += [
        f"semian, {column}: {ours[column]:.3f}, and {theirs[column]:.3f} there"
        for column in ("rejected_after", "let_through")
        if ours[column] > theirs[column]
    ]
    return said


TABLE = Table("semian", "Beside Semian", find, rows, complaints)
