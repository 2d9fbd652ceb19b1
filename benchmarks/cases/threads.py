"""Throughput of many threads through one breaker."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from benchmarks import subjects
from benchmarks.candidate import Candidate
from benchmarks.cases.base import prepare
from benchmarks.measure import Progress, Sampler, Settings, sample_in_turn
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import ARGUMENT, Function

__all__ = ["THREADS", "Threads"]

_CALLS = 4
_WAIT = 0.005


@dataclass(frozen=True)
class Threads:
    """Calls per second of so many threads that wait 5 ms in each call."""

    threads: int
    group: str = "many at once"

    @property
    def name(self) -> str:
        """The name that ``--case`` takes."""
        return f"threads-{self.threads}"

    @property
    def label(self) -> str:
        """The name of its row."""
        return f"{self.threads} threads x {_WAIT * 1000:g} ms through one breaker: throughput"

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""

        def sampler(candidate: Candidate) -> Sampler:
            return self._sampler(candidate.guard("breaker")(subjects.waiting(_WAIT)))

        samplers, left_out, failed = prepare("breaker", "sync", sampler, progress)
        reference = "no breaker"
        samplers[reference] = self._sampler(subjects.waiting(_WAIT))
        measurements, failures = sample_in_turn(samplers, reference, settings.slow_rounds, progress)
        found = rows(self.name, measurements, failed | failures)
        return [
            CaseResult(self.name, self.group, self.label, "calls/s", reference, found, left_out, throughput=True),
        ]

    def _sampler(self, function: Function) -> Sampler:
        return lambda: self.threads * _CALLS / self._elapsed(function)

    def _elapsed(self, function: Function) -> float:
        barrier = threading.Barrier(self.threads + 1)

        def work() -> None:
            barrier.wait()
            for _ in range(_CALLS):
                function(ARGUMENT)

        workers = [threading.Thread(target=work) for _ in range(self.threads)]
        for worker in workers:
            worker.start()
        barrier.wait()
        begin = time.perf_counter()
        for worker in workers:
            worker.join()
        return time.perf_counter() - begin


THREADS = (Threads(16), Threads(64))
