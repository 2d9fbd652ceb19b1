"""What a circuit keeps in memory: one by itself, and one of many that are told apart by key. Counted, not timed."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import references, subjects
from benchmarks.candidate import Candidate
from benchmarks.cases.base import prepare
from benchmarks.cases.memory import kept
from benchmarks.measure import Progress, Settings, Taken
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import ARGUMENT, Function

__all__ = ["CIRCUITS", "Circuits"]


@dataclass(frozen=True)
class Circuits:
    """Bytes kept per circuit through which one call has gone: some make their parts when the first call comes."""

    name: str
    label: str
    capability: str
    group: str = "memory"

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""

        def made(candidate: Candidate) -> float:
            return self._bytes(candidate.guard(self.capability), settings.kept)

        found, left_out, failed = prepare(self.capability, "sync", made, progress)
        reference = "a lock and four fields"
        base = found[reference] = kept(references.PlainCircuit, settings.kept)
        taken = {name: Taken((size,), (base,)) for name, size in found.items()}
        measured = rows(self.name, taken, failed)
        return [CaseResult(self.name, self.group, self.label, "bytes per circuit", reference, measured, left_out)]

    def _bytes(self, make: Function, number: int) -> float:
        function = subjects.of_shape("answer", "sync")
        if self.capability == "keyed":
            new_key, call = make()
            keys = [new_key() for _ in range(number + 1)]
            left = iter(keys)  # the keys are the caller's, and stay
            return kept(lambda: call(next(left), function), number)

        def used() -> object:
            circuit, guard = make()
            guard(function)(ARGUMENT)
            return circuit

        return kept(used, number)


CIRCUITS = (
    Circuits("memory-circuit", "per circuit", "circuit"),
    Circuits("memory-keyed", "per circuit of a key", "keyed"),
)
