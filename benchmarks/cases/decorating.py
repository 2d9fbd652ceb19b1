"""Time of decorating a function. Work that is done here need not be done in a call."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import references, subjects
from benchmarks.candidate import Candidate
from benchmarks.cases.base import prepare
from benchmarks.measure import Progress, Sampler, Settings, sample_in_turn
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import Function, Wrap

__all__ = ["DECORATING", "Decorating"]

_FUNCTIONS = 10


@dataclass(frozen=True)
class Decorating:
    """The time of decorating one function."""

    name: str
    label: str
    make: Callable[[], Function]
    group: str = "decorating"

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""

        def sampler(candidate: Candidate) -> Sampler:
            return self._sampler(candidate.guard("stack"))

        samplers, left_out, failed = prepare("stack", "sync", sampler, progress)
        reference = "empty decorator"
        samplers[reference] = self._sampler(references.empty)
        measurements, failures = sample_in_turn(samplers, reference, settings.rounds, progress)
        found = rows(self.name, measurements, failed | failures, 1e6)
        return [CaseResult(self.name, self.group, self.label, "us per function", reference, found, left_out)]

    def _sampler(self, guard: Wrap) -> Sampler:
        def sample() -> float:
            functions = [self.make() for _ in range(_FUNCTIONS)]
            begin = time.perf_counter()
            for function in functions:
                guard(function)
            return (time.perf_counter() - begin) / _FUNCTIONS

        return sample


_STACK = "fallback + retry + breaker"
DECORATING = (
    Decorating("decorating", _STACK, lambda: subjects.of_shape("answer", "sync")),
    Decorating("decorating-signatures", f"{_STACK}, each function with its own signature", subjects.of_signature),
)
