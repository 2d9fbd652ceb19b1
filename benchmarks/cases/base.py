"""The interface of a case, and the preparation of its candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from benchmarks.candidate import Candidate, candidates
from benchmarks.check import check
from benchmarks.measure import Progress, Settings
from benchmarks.outcome import CaseResult
from benchmarks.terms import Unsupported

__all__ = ["Case", "prepare"]

T = TypeVar("T")


class Case(Protocol):
    """One thing to measure, of every candidate."""

    @property
    def name(self) -> str:
        """The name that ``--case`` takes."""
        ...

    @property
    def group(self) -> str:
        """The heading of its table."""
        ...

    @property
    def label(self) -> str:
        """The name of its row."""
        ...

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it. Most cases have one result, of the same name."""
        ...


def prepare(
    capability: str, shape: str, make: Callable[[Candidate], T], progress: Progress
) -> tuple[dict[str, T], dict[str, str], dict[str, str]]:
    """Check every candidate, and *make* the object to measure of each; return these, the left out and the failed."""
    made: dict[str, T] = {}
    left_out: dict[str, str] = {}
    failed: dict[str, str] = {}
    for candidate in candidates():
        progress(f"checking {candidate.name}")
        try:
            check(capability, shape, candidate.guard(capability, shape))
            made[candidate.name] = make(candidate)
        except Unsupported as reason:
            left_out[candidate.name] = str(reason)
        except Exception as error:  # the other candidates are still measured
            failed[candidate.name] = f"{type(error).__name__}: {error}"
    return made, left_out, failed
