"""Many calls in flight under one time limit: time and memory of each, measured in a fresh process.

Memory is the growth of the process's peak resident size from before the first call to after the last. `tracemalloc`
would slow down every allocation, and miss the space between objects. The garbage collector is on, as in a program.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import references
from benchmarks.candidate import Candidate, load
from benchmarks.cases.base import prepare
from benchmarks.measure import Measurement, Progress, Sampler, Settings, sample_in_turn
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import ARGUMENT, Function, Wrap

__all__ = ["InFlight"]

_ROOT = Path(__file__).parent.parent.parent
#: The rows without a library, by name. In the child the name takes the place of a candidate's module.
_PLAIN: dict[str, Wrap] = {"asyncio.timeout": references.plain_limit, "no limit": references.nothing}


@dataclass(frozen=True)
class InFlight:
    """The time and the memory of a call, the task that makes it included, when 100 000 wait at once."""

    name: str = "flight"
    group: str = "many at once"
    label: str = "100 000 calls in flight under one time limit: time"

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""
        memory: dict[str, list[float]] = {}

        def sampler(name: str, guarding: str) -> Sampler:
            def sample() -> float:
                seconds, size = _child(guarding, settings.in_flight)
                memory.setdefault(name, []).append(size)
                return seconds

            return sample

        def made(candidate: Candidate) -> Sampler:
            return sampler(candidate.name, candidate.path)

        samplers, left_out, failed = prepare("limit", "async", made, progress)
        samplers |= {name: sampler(name, name) for name in _PLAIN}
        reference = "asyncio.timeout"
        measurements, failures = sample_in_turn(samplers, reference, settings.in_flight_rounds, progress)
        failed |= failures
        base = tuple(memory[reference])
        sizes = {name: Measurement(tuple(memory[name]), base) for name in measurements}
        name, label = f"{self.name}-memory", self.label.replace(": time", ": memory")
        times = rows(self.name, measurements, failed, 1e6)
        return [
            CaseResult(self.name, self.group, self.label, "us per call", reference, times, left_out),
            CaseResult(name, self.group, label, "bytes per call", reference, rows(name, sizes, failed), left_out),
        ]


def _child(guarding: str, number: int) -> tuple[float, float]:
    """Return seconds and bytes per call of *number* calls in flight, in a fresh process."""
    code = f"from benchmarks.cases.in_flight import run_child; run_child({guarding!r}, {number})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=_ROOT)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    seconds, size = map(float, done.stdout.split())
    return seconds, size


def run_child(guarding: str, number: int) -> None:
    """Print seconds and bytes per call. This runs in the child."""
    guard = _PLAIN[guarding] if guarding in _PLAIN else load(guarding).guard("limit")
    asyncio.run(_all_in_flight(guard, 1))  # imports and caches of the first call alone
    print(*asyncio.run(_all_in_flight(guard, number)))


async def _all_in_flight(guard: Wrap, number: int) -> tuple[float, float]:
    release, all_started = asyncio.Event(), asyncio.Event()
    started = 0

    async def call(value: Any) -> Any:
        nonlocal started
        started += 1
        if started == number:
            all_started.set()
        await release.wait()
        return value

    function: Function = guard(call)
    before, begin = _peak(), time.perf_counter()
    tasks = [asyncio.ensure_future(function(ARGUMENT)) for _ in range(number)]
    await all_started.wait()
    release.set()
    answers = [await task for task in tasks]
    spent, after = time.perf_counter() - begin, _peak()
    if answers != [ARGUMENT] * number:
        raise RuntimeError("some calls did not answer")
    return spent / number, max(after - before, 1) / number  # a few calls may need no new memory


def _peak() -> int:
    """Return the peak resident size of this process, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        kilobytes = re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="ascii"))
        if kilobytes:
            return int(kilobytes[1]) * 1024
    import resource  # without /proc; on Linux it would include the peak of the parent process

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
