"""The cases, in the order they are run and shown."""

from __future__ import annotations

from benchmarks.cases import footprint, importing, threads
from benchmarks.cases.base import Case
from benchmarks.cases.timed import TIMED

__all__ = ["CASES", "Case"]

CASES: tuple[Case, ...] = (*TIMED, threads.Threads(), importing.Importing(), *footprint.FOOTPRINTS)
