"""The cases, in the order they are run and shown."""

from __future__ import annotations

from benchmarks.cases.base import Case
from benchmarks.cases.circuits import CIRCUITS
from benchmarks.cases.decorating import DECORATING
from benchmarks.cases.garbage import GARBAGE
from benchmarks.cases.importing import Importing
from benchmarks.cases.in_flight import InFlight
from benchmarks.cases.memory import MEMORY
from benchmarks.cases.tasks import Tasks
from benchmarks.cases.threads import THREADS
from benchmarks.cases.timed import TIMED

__all__ = ["CASES", "Case"]

CASES: tuple[Case, ...] = (
    *TIMED,
    *THREADS,
    Tasks(),
    InFlight(),
    Importing(),
    *DECORATING,
    *MEMORY,
    *CIRCUITS,
    *GARBAGE,
)
