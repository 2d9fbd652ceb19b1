"""Take samples of several things in turn, so that a noisy moment hits all of them alike."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
import statistics
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from benchmarks.terms import Function

__all__ = [
    "Progress",
    "Sample",
    "Settings",
    "Taken",
    "async_loop",
    "calibrated",
    "collector_paused",
    "interleaved",
    "method_loop",
    "sync_loop",
]

Sample = Callable[[], float]
Progress = Callable[[str], None]

#: Seconds one inner loop should take: long enough for the clock, short enough to hit few interruptions.
_LOOP = 0.0015


@dataclass(frozen=True)
class Settings:
    """How much to measure."""

    rounds: int = 41
    #: Rounds where a sample takes long: a process, many threads, many tasks.
    slow_rounds: int = 21
    loop: float = _LOOP
    tasks: int = 10_000
    #: Calls in flight at once, and the rounds of that.
    flight: int = 100_000
    flights: int = 2
    #: Decorated functions, or circuits, whose memory is counted together.
    kept: int = 200

    @classmethod
    def quick(cls) -> Settings:
        """Enough to see that everything works."""
        return cls(rounds=7, slow_rounds=3, loop=_LOOP / 3, tasks=500, flight=2_000, flights=1, kept=50)


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
    """Sample everything *rounds* times, in another order each round; return what was taken, and what failed."""
    taken: dict[str, list[float]] = {name: [] for name in samples}
    failed: dict[str, str] = {}
    with collector_paused():
        for number in range(rounds):
            progress(f"round {number + 1}/{rounds}")
            gc.collect()  # what one candidate leaves behind must not be paid for by the next
            gc.freeze()  # what is alive now need not be gone through again: purgatory keeps a traceback per rejection
            names = [name for name in samples if name not in failed]
            # Nobody always comes after the same one. The order is that of every run: chance has no part in a result.
            for name in random.Random(number).sample(names, len(names)):
                try:
                    taken[name].append(samples[name]())
                except Exception as error:
                    if name == reference:
                        raise
                    failed[name] = f"{type(error).__name__}: {error}"
    base = tuple(taken[reference])
    return {name: Taken(tuple(found), base) for name, found in taken.items() if name not in failed}, failed


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from starting by itself."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def calibrated(loop: Callable[[int], float], seconds: float) -> Sample:
    """Return a sampler of seconds per call whose inner loop takes about *seconds*."""
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

    return sample


def sync_loop(function: Function, argument: Any, *, swallow: bool = False) -> Callable[[int], float]:
    """Return the loop that calls *function*; errors are swallowed on demand."""
    loop = _fresh(_swallow if swallow else _call)
    return lambda number: float(loop(function, argument, itertools.repeat(None, number)))


def method_loop(owner: Any, argument: Any) -> Callable[[int], float]:
    """Return the loop that calls `method` of *owner*, looked up each time, as methods are."""
    loop = _fresh(_call_method)
    return lambda number: float(loop(owner, argument, itertools.repeat(None, number)))


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


def _call_method(owner: Any, argument: Any, times: Iterator[None]) -> float:
    start = perf_counter()
    for _ in times:
        owner.method(argument)
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
