"""Memory of a decorated function. Counted, not timed."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import references, subjects
from benchmarks.candidate import Candidate
from benchmarks.cases.base import prepare
from benchmarks.measure import Measurement, Progress, Settings
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import Function, Wrap

__all__ = ["MEMORY", "Memory", "bytes_each"]


@dataclass(frozen=True)
class Memory:
    """Bytes per decorated function."""

    name: str
    label: str
    capability: str
    #: Makes the functions: all of one signature, or each with its own.
    make: Callable[[], Function]
    group: str = "memory"

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""

        def size(guard: Wrap) -> float:
            functions = [self.make() for _ in range(settings.objects + 1)]
            return bytes_each(lambda: guard(functions.pop()), settings.objects)

        def made(candidate: Candidate) -> float:
            return size(candidate.guard(self.capability))

        found, left_out, failed = prepare(self.capability, "sync", made, progress)
        reference = "empty decorator"
        base = found[reference] = size(references.empty)
        measurements = {name: Measurement((bytes_,), (base,)) for name, bytes_ in found.items()}
        measured = rows(self.name, measurements, failed)
        return [CaseResult(self.name, self.group, self.label, "bytes per function", reference, measured, left_out)]


def bytes_each(make: Callable[[], object], number: int) -> float:
    """Return the bytes of each of *number* objects. One more is made first, and not counted."""
    objects = [None, make()]  # imports and caches of the first one alone
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
    Memory("memory-signatures", f"per function with its own signature: {_STACK}", "stack", subjects.of_signature),
)
