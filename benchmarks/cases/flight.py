"""Many calls in flight under one time limit: time and memory of each, taken in a process of its own.

Memory is what the process has from the system at most (its peak resident size, from before the first call to after the
last), not what Python counts: counting slows every allocation down, and leaves out what is lost between objects. The
garbage collector is on, as it is in a program; it goes through all that is in flight.
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
from benchmarks.measure import Progress, Sample, Settings, Taken, interleaved
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import ARGUMENT, Function, Wrap

__all__ = ["Flight"]

_ROOT = Path(__file__).parent.parent.parent
#: By the name of their row: what needs no library. Each takes the place of a candidate's module in the child.
_PLAIN: dict[str, Wrap] = {"asyncio.timeout": references.plain_limit, "no limit": references.nothing}


@dataclass(frozen=True)
class Flight:
    """The time and the memory of a call, the task that makes it included, when 100 000 wait at once."""

    name: str = "flight"
    group: str = "many at once"
    label: str = "100 000 calls in flight under one time limit: time"

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""
        memory: dict[str, list[float]] = {}

        def sampler(name: str, guarding: str) -> Sample:
            def sample() -> float:
                seconds, size = _child(guarding, settings.flight)
                memory.setdefault(name, []).append(size)
                return seconds

            return sample

        def made(candidate: Candidate) -> Sample:
            return sampler(candidate.name, candidate.path)

        samplers, left_out, failed = prepare("limit", "async", made, progress)
        samplers |= {name: sampler(name, name) for name in _PLAIN}
        reference = "asyncio.timeout"
        taken, lost = interleaved(samplers, reference, settings.flights, progress)
        failed |= lost
        base = tuple(memory[reference])
        sizes = {name: Taken(tuple(memory[name]), base) for name in taken}
        name, label = f"{self.name}-memory", self.label.replace(": time", ": memory")
        times = rows(self.name, taken, failed, 1e6)
        return [
            CaseResult(self.name, self.group, self.label, "us per call", reference, times, left_out),
            CaseResult(name, self.group, label, "bytes per call", reference, rows(name, sizes, failed), left_out),
        ]


def _child(guarding: str, number: int) -> tuple[float, float]:
    """Return seconds and bytes per call of *number* calls in flight, in a fresh process."""
    code = f"from benchmarks.cases.flight import fly; fly({guarding!r}, {number})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=_ROOT)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    seconds, size = map(float, done.stdout.split())
    return seconds, size


def fly(guarding: str, number: int) -> None:
    """Print seconds and bytes per call. This is what the child does."""
    guard = _PLAIN[guarding] if guarding in _PLAIN else load(guarding).guard("limit")
    asyncio.run(_flight(guard, 1))  # what a library imports or makes for the first call alone
    print(*asyncio.run(_flight(guard, number)))


async def _flight(guard: Wrap, number: int) -> tuple[float, float]:
    landing, all_up = asyncio.Event(), asyncio.Event()
    up = 0

    async def flight(value: Any) -> Any:
        nonlocal up
        up += 1
        if up == number:
            all_up.set()
        await landing.wait()
        return value

    function: Function = guard(flight)
    before, begin = _peak(), time.perf_counter()
    tasks = [asyncio.ensure_future(function(ARGUMENT)) for _ in range(number)]
    await all_up.wait()
    landing.set()
    answers = [await task for task in tasks]
    spent, after = time.perf_counter() - begin, _peak()
    if answers != [ARGUMENT] * number:
        raise RuntimeError("some calls did not answer")
    return spent / number, max(after - before, 1) / number  # a few calls may fit into what there was


def _peak() -> int:
    """Return the bytes this process has had at most."""
    status = Path("/proc/self/status")
    if status.exists():
        kilobytes = re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="ascii"))
        if kilobytes:
            return int(kilobytes[1]) * 1024
    import resource  # where there is no /proc; on Linux it would begin with what the parent process had

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
