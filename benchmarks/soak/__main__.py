"""The command: ``python -m benchmarks.soak``."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import fnmatch
import gc
import json
import logging
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from benchmarks.soak.trends import Sample, Trend, sample, trends
from benchmarks.soak.workloads import WORKLOADS, RoundFailedError, Workload
from resilience.settings import abandoned_threads

__all__ = ["Soak", "main", "soak"]

_SAMPLES: Final = 60
_WARM_UP: Final = 0.25
"""The share of the time after which the samples count: by then caches are full and arenas are made."""
_COLUMNS: Final = ("first", "last", "lowest", "highest", "per hour")
_SETTLE_SECONDS: Final = 2.0
_FEWEST: Final = 5
"""The samples that a verdict needs after the warm-up: with fewer of them a soak goes on a little longer."""


@dataclasses.dataclass
class Soak:
    """The result of a soak: rounds and calls of each workload, the samples after the warm-up, and their trends."""

    seconds: float
    rounds: dict[str, int]
    calls: dict[str, int]
    #: How many rounds failed their check, by problem.
    failed: dict[str, int]
    samples: list[Sample]
    trends: list[Trend]
    #: The types of which there are most more objects than after the warm-up.
    grown_types: list[tuple[str, int]]

    @property
    def growing(self) -> bool:
        """Whether any resource grows."""
        return any(trend.growing for trend in self.trends)

    @property
    def verdict(self) -> str:
        """``failed`` where any round did, else ``growing`` where any resource does, else ``flat``."""
        if self.failed:
            return "failed"
        return max((trend.verdict for trend in self.trends), key=["flat", "growing"].index)

    def document(self) -> dict[str, Any]:
        """Return it as a document, ready for JSON."""
        return {
            "python": platform.python_version(),
            "verdict": self.verdict,
            "seconds": round(self.seconds, 1),
            "workloads": [
                {"name": name, "rounds": rounds, "calls": self.calls[name]} for name, rounds in self.rounds.items()
            ],
            "failed": self.failed,
            "trends": [trend._asdict() | {"verdict": trend.verdict} for trend in self.trends],
            "samples": [one._asdict() for one in self.samples],
            "grown_types": self.grown_types,
        }


def soak(workloads: Sequence[Workload], seconds: float, clock: Callable[[], float] = time.monotonic) -> Soak:
    """Make rounds of *workloads* in turn for *seconds*, sampling between them. A round that fails is counted."""
    began = clock()
    rounds = collections.Counter[str]({workload.name: 0 for workload in workloads})
    calls = collections.Counter[str]({workload.name: 0 for workload in workloads})
    failed: collections.Counter[str] = collections.Counter()
    samples: list[Sample] = []
    types: collections.Counter[str] = collections.Counter()
    turns = _turns(workloads)
    next_sample = seconds * _WARM_UP
    while (now := clock() - began) < seconds or len(samples) < _FEWEST:
        for workload in next(turns):
            rounds[workload.name] += 1
            try:
                calls[workload.name] += workload.make_round()
            except RoundFailedError as error:
                failed[f"{workload.name}: {error}"] += 1
        if now >= next_sample:
            _settle()
            types = types or _types()
            one = sample(clock() - began)
            samples.append(one._replace(objects=one.objects - len(samples)))  # without the samples themselves
            next_sample = now + seconds * (1 - _WARM_UP) / _SAMPLES
    types = _types() - types
    return Soak(
        seconds=clock() - began,
        rounds=dict(rounds),
        calls=dict(calls),
        failed=dict(failed),
        samples=samples,
        trends=trends(samples),
        grown_types=types.most_common(5),
    )


def _turns(workloads: Sequence[Workload]) -> Iterator[Sequence[Workload]]:
    """Yield all workloads again and again, each time beginning with the next one: each follows on each other."""
    while True:
        yield workloads
        workloads = [*workloads[1:], workloads[0]]


def _settle() -> None:
    """Wait until the threads that time limits have left behind are done."""
    until = time.monotonic() + _SETTLE_SECONDS
    while abandoned_threads() and time.monotonic() < until:
        time.sleep(0.01)


def _types() -> collections.Counter[str]:
    """Count the objects that the garbage collector tracks by type, but for the samples of the soak."""
    types = map(type, gc.get_objects())
    return collections.Counter(f"{one.__module__}.{one.__qualname__}" for one in types if one is not Sample)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return 0 if all is flat, 1 if something grows or a round fails, 2 for wrong arguments."""
    parser = _parser()
    options = parser.parse_args(arguments)
    wanted = [one for one in WORKLOADS if _is_wanted(one, options.only)]
    if not wanted:
        parser.error(f"no workload named {', '.join(options.only)}; --list shows them")
    if options.minutes <= 0:
        parser.error(f"--minutes {options.minutes:g}: give a number above 0")
    if options.list:
        print("\n".join(f"{one.name:14}  {one.meaning}" for one in WORKLOADS))
        return 0
    logger = logging.getLogger("resilience")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # a soak fails calls on purpose, and by the thousand
    try:
        found = soak(wanted, options.minutes * 60)
    finally:
        logger.setLevel(level)
    print(json.dumps(found.document()) if options.json else "\n".join(_table(found)))
    return int(found.verdict != "flat")


def _is_wanted(workload: Workload, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatch(workload.name, pattern) for pattern in patterns)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description="Use the toolkit for minutes in every way, and see whether memory, threads, descriptors or objects"
        " grow.",
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="for how long; 10 unless given")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this workload; repeatable, globs")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout in place of the tables")
    parser.add_argument("--list", action="store_true", help="the workloads, and do nothing else")
    return parser


def _table(found: Soak) -> Iterator[str]:
    """Yield the lines of the report."""
    yield f"CPython {platform.python_version()}; {found.seconds / 60:.1f} minutes, {len(found.samples)} samples"
    yield ""
    yield f"{'workload':14} {'rounds':>8} {'calls':>12}"
    for name, rounds in found.rounds.items():
        yield f"{name:14} {rounds:8,} {found.calls[name]:12,}"
    yield ""
    yield f"{'after warm-up':14} {' '.join(f'{title:>10}' for title in _COLUMNS)} {'verdict':>9}"
    for trend in found.trends:
        numbers = (trend.first, trend.last, trend.lowest, trend.highest, trend.per_hour)
        yield f"{trend.resource:14} {' '.join(f'{number:10,.1f}' for number in numbers)} {trend.verdict:>9}"
    for problem, times in found.failed.items():
        yield f"{times} of {found.rounds[problem.partition(':')[0]]} rounds failed: {problem}"
    if found.growing:
        yield ""
        yield "more objects than after the warm-up: " + ", ".join(f"{name} +{more}" for name, more in found.grown_types)


if __name__ == "__main__":
    sys.exit(main())
