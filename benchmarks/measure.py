"""Samples of all candidates, taken in turn, so that a busy moment of the machine affects all of them."""

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
    "Sampler",
    "Settings",
    "Measurement",
    "async_loop",
    "calibrated",
    "collector_paused",
    "sample_in_turn",
    "method_loop",
    "sync_loop",
]

Sampler = Callable[[], float]
Progress = Callable[[str], None]

#: Seconds one inner loop should take: long enough for the clock, short enough to hit few interruptions.
_LOOP = 0.0015


@dataclass(frozen=True)
class Settings:
    """The number of rounds of a measurement, and their size."""

    rounds: int = 41
    #: Rounds of samples that take long: a process, many threads, many tasks.
    slow_rounds: int = 21
    loop: float = _LOOP
    tasks: int = 10_000
    #: Calls in flight at once, and the rounds of that case.
    in_flight: int = 100_000
    in_flight_rounds: int = 2
    #: Objects, such as decorated functions, whose memory is counted together.
    objects: int = 200

    @classmethod
    def quick(cls) -> Settings:
        """Return settings that only show that everything works."""
        return cls(rounds=7, slow_rounds=3, loop=_LOOP / 3, tasks=500, in_flight=2_000, in_flight_rounds=1, objects=50)


@dataclass(frozen=True)
class Measurement:
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


def sample_in_turn(
    samplers: Mapping[str, Sampler], reference: str, rounds: int, progress: Progress
) -> tuple[dict[str, Measurement], dict[str, str]]:
    """Sample all candidates *rounds* times, each round in another order; return the measurements, and the failures."""
    values: dict[str, list[float]] = {name: [] for name in samplers}
    failed: dict[str, str] = {}
    with collector_paused():
        for number in range(rounds):
            progress(f"round {number + 1}/{rounds}")
            gc.collect()  # a candidate must not pay for the garbage of the one before
            gc.freeze()  # nor for objects that stay alive: purgatory keeps a traceback per rejection
            names = [name for name in samplers if name not in failed]
            # Each round has another order, the same in every run, so that no candidate always follows the same one.
            for name in random.Random(number).sample(names, len(names)):
                try:
                    values[name].append(samplers[name]())
                except Exception as error:
                    if name == reference:
                        raise
                    failed[name] = f"{type(error).__name__}: {error}"
    base = tuple(values[reference])
    return {name: Measurement(tuple(found), base) for name, found in values.items() if name not in failed}, failed


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


def calibrated(loop: Callable[[int], float], seconds: float) -> Sampler:
    """Return a sampler of seconds per call whose inner loop takes about *seconds*."""
    loop(20)  # specialises the bytecode, fills caches
    number = 1
    while True:
        spent = min(loop(number) for _ in range(3))  # an interruption must not make the loops too short
        if spent >= seconds / 4 or number >= 1_000_000:
            break
        number *= 4
    number = max(1, round(number * seconds / max(spent, 1e-9)))

    def sample() -> float:
        loop(max(1, number // 10))  # the samples before it have filled the caches
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
    # The interpreter specialises a loop for the function it calls: candidates must not share one.
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
