"""Memory of a circuit: a single one, and one of many circuits by key. Counted, not timed."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import references, subjects
from benchmarks.candidate import Candidate
from benchmarks.cases.base import prepare
from benchmarks.cases.memory import bytes_each
from benchmarks.measure import Measurement, Progress, Settings
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import ARGUMENT, Function

__all__ = ["CIRCUITS", "Circuits"]


@dataclass(frozen=True)
class Circuits:
    """Bytes per circuit after one call through it: some are complete only then."""

    name: str
    label: str
    capability: str
    group: str = "memory"

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""

        def made(candidate: Candidate) -> float:
            return self._bytes(candidate.guard(self.capability), settings.objects)

        found, left_out, failed = prepare(self.capability, "sync", made, progress)
        reference = "a lock and four fields"
        base = found[reference] = bytes_each(references.PlainCircuit, settings.objects)
        measurements = {name: Measurement((size,), (base,)) for name, size in found.items()}
        measured = rows(self.name, measurements, failed)
        return [CaseResult(self.name, self.group, self.label, "bytes per circuit", reference, measured, left_out)]

    def _bytes(self, make: Function, number: int) -> float:
        function = subjects.of_shape("answer", "sync")
        if self.capability == "keyed":
            new_key, call = make()
            keys = [new_key() for _ in range(number + 1)]
            left = iter(keys)  # not counted: keys belong to the caller
            return bytes_each(lambda: call(next(left), function), number)

        def used() -> object:
            circuit, guard = make()
            guard(function)(ARGUMENT)
            return circuit

        return bytes_each(used, number)


CIRCUITS = (
    Circuits("memory-circuit", "per circuit", "circuit"),
    Circuits("memory-keyed", "per circuit, by key", "keyed"),
)
