"""Take samples of several things in turn, so that a noisy moment hits all of them alike."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import statistics
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from benchmarks.terms import Function

__all__ = ["Progress", "Sample", "Settings", "Taken", "async_loop", "calibrated", "interleaved", "sync_loop"]

Sample = Callable[[], float]
Progress = Callable[[str], None]

#: Seconds one inner loop should take: long enough for the clock, short enough to hit few interruptions.
_LOOP = 0.0015


@dataclass(frozen=True)
class Settings:
    """How much to measure."""

    rounds: int = 41
    children: int = 21
    loop: float = _LOOP

    @classmethod
    def quick(cls) -> Settings:
        """Enough to see that everything works."""
        return cls(rounds=7, children=3, loop=_LOOP / 3)


@dataclass(frozen=True)
class Taken:
    """The samples of one candidate, round by round, and those of the reference in the same rounds."""

    samples: tuple[float, ...]
    reference: tuple[float, ...]

    @property
    def value(self) -> float:
        """The median sample."""
        return statistics.median(self.samples)

    @property
    def ratios(self) -> list[float]:
        """The ratio to the reference of the same round, for every round."""
        return [mine / theirs for mine, theirs in zip(self.samples, self.reference, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the ratios."""
        if len(self.samples) < 2:
            return self.ratio, self.ratio
        low, _, high = statistics.quantiles(self.ratios, n=4)
        return low, high


def interleaved(
    samples: Mapping[str, Sample], reference: str, rounds: int, progress: Progress
) -> tuple[dict[str, Taken], dict[str, str]]:
    """Sample everything *rounds* times, starting with another one each round; return what was taken, and failed."""
    taken: dict[str, list[float]] = {name: [] for name in samples}
    failed: dict[str, str] = {}
    with _gc_paused():
        for number in range(rounds):
            progress(f"round {number + 1}/{rounds}")
            gc.collect()  # what one candidate leaves behind must not be paid for by the next
            names = [name for name in samples if name not in failed]
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                try:
                    taken[name].append(samples[name]())
                except Exception as error:
                    if name == reference:
                        raise
                    failed[name] = f"{type(error).__name__}: {error}"
    base = tuple(taken[reference])
    return {name: Taken(tuple(found), base) for name, found in taken.items() if name not in failed}, failed


@contextlib.contextmanager
def _gc_paused() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def calibrated(loop: Callable[[int], float], seconds: float) -> tuple[Sample, int]:
    """Return a sampler of seconds per call whose inner loop takes about *seconds*, and its number of calls."""
    loop(20)  # specialises the bytecode, fills caches
    number = 1
    while True:
        spent = min(loop(number) for _ in range(3))  # one interruption must not make the loops short
        if spent >= seconds / 4 or number >= 1_000_000:
            break
        number *= 4
    number = max(1, round(number * seconds / max(spent, 1e-9)))

    def sample() -> float:
        loop(max(1, number // 10))  # warms what the others before it have cooled
        return loop(number) / number

    return sample, number


def sync_loop(function: Function, argument: Any, *, swallow: bool = False) -> Callable[[int], float]:
    """Return the loop that calls *function*; errors are swallowed on demand."""
    loop = _fresh(_swallow if swallow else _call)
    return lambda number: float(loop(function, argument, itertools.repeat(None, number)))


def async_loop(
    runner: asyncio.Runner, function: Function, argument: Any, *, swallow: bool = False
) -> Callable[[int], float]:
    """Return the loop that awaits *function*, inside one run of the event loop."""
    loop = _fresh(_swallow_async if swallow else _await)
    return lambda number: float(runner.run(loop(function, argument, itertools.repeat(None, number))))


def _fresh(function: Function) -> Function:
    # The interpreter specialises a loop for what it calls: shared by all candidates, it would suit none.
    return types.FunctionType(function.__code__.replace(), function.__globals__, function.__name__)


def _call(function: Function, argument: Any, times: Iterator[None]) -> float:
    start = perf_counter()
    for _ in times:
        function(argument)
    return perf_counter() - start


def _swallow(function: Function, argument: Any, times: Iterator[None]) -> float:
    start = perf_counter()
    for _ in times:
        try:
            function(argument)
        except Exception:
            pass
    return perf_counter() - start


async def _await(function: Function, argument: Any, times: Iterator[None]) -> float:
    start = perf_counter()
    for _ in times:
        await function(argument)
    return perf_counter() - start


async def _swallow_async(function: Function, argument: Any, times: Iterator[None]) -> float:
    start = perf_counter()
    for _ in times:
        try:
            await function(argument)
        except Exception:
            pass
    return perf_counter() - start
