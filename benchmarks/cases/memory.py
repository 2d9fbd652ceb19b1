"""What decorating keeps in memory. Counted, not timed."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import references, subjects
from benchmarks.candidate import Candidate
from benchmarks.cases.base import prepare
from benchmarks.measure import Progress, Settings, Taken
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import Function, Wrap

__all__ = ["MEMORY", "Memory", "kept"]


@dataclass(frozen=True)
class Memory:
    """Bytes kept per decorated function."""

    name: str
    label: str
    capability: str
    #: Makes the functions: all of one signature, or each of one of its own.
    make: Callable[[], Function]
    group: str = "memory"

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""

        def size(guard: Wrap) -> float:
            functions = [self.make() for _ in range(settings.kept + 1)]
            return kept(lambda: guard(functions.pop()), settings.kept)

        def made(candidate: Candidate) -> float:
            return size(candidate.guard(self.capability))

        found, left_out, failed = prepare(self.capability, "sync", made, progress)
        reference = "empty decorator"
        base = found[reference] = size(references.empty)
        taken = {name: Taken((bytes_,), (base,)) for name, bytes_ in found.items()}
        measured = rows(self.name, taken, failed)
        return [CaseResult(self.name, self.group, self.label, "bytes per function", reference, measured, left_out)]


def kept(make: Callable[[], object], number: int) -> float:
    """Return the bytes that each of *number* objects keeps, after one that is not counted."""
    objects = [None, make()]  # whatever the first one alone imports or caches
    objects += [None] * number
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for place in range(number):
            objects[place + 2] = make()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / number


def _answer() -> Function:
    return subjects.of_shape("answer", "sync")


_STACK = "fallback + retry + breaker"
MEMORY = (
    Memory("memory-retry", "per function: retry", "retry", _answer),
    Memory("memory-stack", f"per function: {_STACK}", "stack", _answer),
    Memory("memory-signatures", f"per function of a signature of its own: {_STACK}", "stack", subjects.of_signature),
)
