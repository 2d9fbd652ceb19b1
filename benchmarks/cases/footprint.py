"""What decorating keeps in memory, and what a failed call leaves to the garbage collector. Counted, not timed."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import dataclass

from benchmarks import references, subjects
from benchmarks.cases.base import prepare
from benchmarks.check import opened
from benchmarks.measure import Progress, Settings, Taken
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import Function, Wrap

__all__ = ["FOOTPRINTS", "Garbage", "Memory"]

_FUNCTIONS = 200
_CALLS = 50


@dataclass(frozen=True)
class Memory:
    """Bytes kept per decorated function."""

    name: str
    title: str
    capability: str

    def run(self, settings: Settings, progress: Progress) -> CaseResult:
        """Measure it."""
        found, left_out, failed = prepare(self.capability, "sync", _kept, progress)
        base = _kept(references.empty)
        found["empty decorator"] = base
        taken = {name: Taken((size,), (base,)) for name, size in found.items()}
        return CaseResult(
            self.name, self.title, "bytes per function", "empty decorator", rows(self.name, taken, failed), left_out
        )


def _kept(guard: Wrap) -> float:
    functions = [subjects.answer() for _ in range(_FUNCTIONS + 1)]
    kept: list[Function | None] = [None] * len(functions)
    kept[-1] = guard(functions.pop())  # whatever the first one alone imports or caches
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number, function in enumerate(functions):
            kept[number] = guard(function)
        del function
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / _FUNCTIONS


@dataclass(frozen=True)
class Garbage:
    """Objects the collector finds unreachable, per failed call: 0 means that reference counting freed everything."""

    name: str
    title: str
    capability: str
    rejected: bool = False

    def run(self, settings: Settings, progress: Progress) -> CaseResult:
        """Measure it."""
        found, left_out, failed = prepare(self.capability, "sync", self._left, progress)
        # Against 1, since a ratio to nothing says nothing.
        taken = {name: Taken((left,), (1.0,)) for name, left in found.items()}
        return CaseResult(
            self.name, self.title, "objects per failed call", "one object", rows(self.name, taken, failed), left_out
        )

    def _left(self, guard: Wrap) -> float:
        if self.rejected:
            guarded, _ = opened("sync", guard)
        else:
            guarded = guard(subjects.Counted(failures=-1).function("sync"))
        enabled = gc.isenabled()
        gc.disable()
        try:
            _fail(guarded)
            gc.collect()
            for _ in range(_CALLS):
                _fail(guarded)
            return gc.collect() / _CALLS
        finally:
            if enabled:
                gc.enable()


def _fail(guarded: Function) -> None:
    try:
        guarded(7)
    except Exception:
        pass


FOOTPRINTS = (
    Memory("memory-retry", "memory kept per function: retry", "retry"),
    Memory("memory-stack", "memory kept per function: fallback + retry + breaker", "stack"),
    Garbage("garbage-retry", "left to the collector: retries used up", "retry"),
    Garbage("garbage-rejection", "left to the collector: rejected by an open circuit", "breaker", rejected=True),
)
