"""Many tasks through one breaker, on one event loop."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from benchmarks import subjects
from benchmarks.candidate import Candidate
from benchmarks.cases.base import prepare
from benchmarks.measure import Progress, Sampler, Settings, sample_in_turn
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import ARGUMENT, Function

__all__ = ["Tasks"]

#: How often each call yields to the event loop.
_TURNS = 3


@dataclass(frozen=True)
class Tasks:
    """The time of a call when 10 000 tasks make one each, all of them in it at once."""

    name: str = "tasks"
    group: str = "many at once"
    label: str = "10 000 tasks through one breaker: time"

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""
        with asyncio.Runner() as runner:

            def sampler(candidate: Candidate) -> Sampler:
                return sample(candidate.guard("breaker")(subjects.yielding(_TURNS)))

            def sample(function: Function) -> Sampler:
                return lambda: runner.run(_crowd(function, settings.tasks)) / settings.tasks

            samplers, left_out, failed = prepare("breaker", "async", sampler, progress)
            reference = "no breaker"
            samplers[reference] = sample(subjects.yielding(_TURNS))
            measurements, failures = sample_in_turn(samplers, reference, settings.slow_rounds, progress)
        found = rows(self.name, measurements, failed | failures, 1e6)
        return [CaseResult(self.name, self.group, self.label, "us per call", reference, found, left_out)]


async def _crowd(function: Function, number: int) -> float:
    """Return the seconds that *number* tasks take, each calling *function* once."""
    begin = time.perf_counter()
    answers = await asyncio.gather(*[function(ARGUMENT) for _ in range(number)])
    spent = time.perf_counter() - begin
    if answers != [ARGUMENT] * number:
        raise RuntimeError("some calls did not answer")
    return spent
