"""Many threads through one breaker: does it hold them up?"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from benchmarks import subjects
from benchmarks.cases.base import prepare
from benchmarks.measure import Progress, Sample, Settings, interleaved
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import Function, Wrap

__all__ = ["Threads"]

_THREADS = 16
_CALLS = 4
_WAIT = 0.005


@dataclass(frozen=True)
class Threads:
    """Calls per second of 16 threads that wait 5 ms in each call."""

    name: str = "threads"
    title: str = f"{_THREADS} threads x {_WAIT * 1000:g} ms through one breaker: throughput"

    def run(self, settings: Settings, progress: Progress) -> CaseResult:
        """Measure it."""

        def sampler(guard: Wrap) -> Sample:
            return _sampler(guard(subjects.waiting(_WAIT)))

        samplers, left_out, failed = prepare("breaker", "sync", sampler, progress)
        reference = "no breaker"
        samplers[reference] = _sampler(subjects.waiting(_WAIT))
        taken, lost = interleaved(samplers, reference, settings.rounds, progress)
        return CaseResult(self.name, self.title, "calls/s", reference, rows(self.name, taken, failed | lost), left_out)


def _sampler(function: Function) -> Sample:
    return lambda: _THREADS * _CALLS / _elapsed(function)


def _elapsed(function: Function) -> float:
    barrier = threading.Barrier(_THREADS + 1)

    def work() -> None:
        barrier.wait()
        for _ in range(_CALLS):
            function(7)

    workers = [threading.Thread(target=work) for _ in range(_THREADS)]
    for worker in workers:
        worker.start()
    barrier.wait()
    begin = time.perf_counter()
    for worker in workers:
        worker.join()
    return time.perf_counter() - begin
