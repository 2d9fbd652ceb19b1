"""What a case is, and how its candidates are prepared."""

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
    """One question, asked of every candidate."""

    @property
    def name(self) -> str:
        """What ``--case`` calls it."""
        ...

    @property
    def group(self) -> str:
        """The heading it stands under."""
        ...

    @property
    def label(self) -> str:
        """What it is called there."""
        ...

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it: mostly one result, of the same name."""
        ...


def prepare(
    capability: str, shape: str, make: Callable[[Candidate], T], progress: Progress
) -> tuple[dict[str, T], dict[str, str], dict[str, str]]:
    """Check every candidate and *make* of it what will be measured; also return who is left out, or failed."""
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
        except Exception as error:  # one peer's trouble must not end the run
            failed[candidate.name] = f"{type(error).__name__}: {error}"
    return made, left_out, failed
