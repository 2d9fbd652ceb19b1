"""Objects that a failed call leaves to the garbage collector. Counted, not timed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import subjects
from benchmarks.candidate import Candidate
from benchmarks.cases.base import prepare
from benchmarks.check import opened
from benchmarks.measure import Measurement, Progress, Settings, collector_paused
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import ARGUMENT, Function

__all__ = ["GARBAGE", "Garbage"]

_CALLS = 50


@dataclass(frozen=True)
class Garbage:
    """Objects the collector finds unreachable, per failed call: 0 means that reference counting freed everything."""

    name: str
    label: str
    capability: str
    shape: str
    rejected: bool = False
    group: str = "left to the garbage collector by a failed call"

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""
        found, left_out, failed = prepare(self.capability, self.shape, self._left, progress)
        measured = rows(self.name, {name: Measurement((left,), (1.0,)) for name, left in found.items()}, failed)
        return [CaseResult(self.name, self.group, self.label, "objects per call", "", measured, left_out)]

    def _left(self, candidate: Candidate) -> float:
        left = self._once(candidate)
        # Less than one per call is not from the calls: a thread that ends in this process leaves some, once.
        return self._once(candidate) if 0 < left < 1 else left

    def _once(self, candidate: Candidate) -> float:
        guard = candidate.guard(self.capability)
        if self.rejected:
            functions = [opened(self.shape, guard)[0]] * _CALLS
        else:  # a new one for each call, so that no circuit opens
            functions = [guard(subjects.Counted(failures=-1).function(self.shape)) for _ in range(_CALLS)]
        return asyncio.run(_left_async(functions)) if self.shape == "async" else _left(functions)


def _left(functions: Sequence[Function]) -> float:
    with collector_paused():
        for number, function in enumerate(functions):
            if number == 1:
                gc.collect()  # garbage of the first call alone
            try:
                function(ARGUMENT)
            except Exception:
                pass
        return gc.collect() / (len(functions) - 1)


async def _left_async(functions: Sequence[Function]) -> float:
    with collector_paused():
        for number, function in enumerate(functions):
            if number == 1:
                gc.collect()
            try:
                await function(ARGUMENT)
            except Exception:
                pass
        return gc.collect() / (len(functions) - 1)


GARBAGE = tuple(
    Garbage(f"{prefix}garbage-{name}", f"{shape}: {label}", capability, shape, rejected=name == "rejection")
    for shape, prefix in (("sync", ""), ("async", "async-"))
    for name, label, capability in (
        ("retry", "retries exhausted", "retry"),
        ("stack", "retries exhausted, fallback + retry + breaker", "stack"),
        ("limit", "a failure within a time limit", "limit"),
        ("rejection", "rejected by an open circuit", "breaker"),
    )
)
