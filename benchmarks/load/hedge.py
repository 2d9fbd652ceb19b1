"""Hedges under load: latencies and extra calls, on the real policy, in virtual time, from one seed.

A dependency of 20 servers with one queue. A request takes an exponentially distributed time with a mean of 1 s, and
one in 20 ten times as long. Calls come at random (Poisson), as many as use a share of the servers' time without hedges.
The dependency either *stops* a request whose caller has cancelled it, or serves it to its end, which is the worse case
for a hedge: each extra call then costs the servers all of its time.

``python -m benchmarks.load.hedge`` prints the tables, and returns 1 where the default misses its limits.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import random
import selectors
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeAlias

from resilience import hedge
from resilience.clock import Clock, SystemClock, TimeLimit, Waitable, using_clock
from resilience.policies.base import Policy

__all__ = ["Result", "main", "simulate"]

SERVERS = 20
_STRAGGLERS, _TIMES_SLOWER = 0.05, 10
_MEAN = 1 - _STRAGGLERS + _STRAGGLERS * _TIMES_SLOWER

UTILISATIONS = (0.3, 0.5, 0.8, 0.95)
POLICIES: dict[str, Callable[[], Policy] | None] = {
    "none": None,
    "after 1 s, no budget": lambda: hedge(1.0, budget=1),
    "after 3 s, no budget": lambda: hedge(3.0, budget=1),
    "p95, no budget": lambda: hedge("p95", budget=1),
    "p95, budget 5 %": lambda: hedge("p95"),
}
OURS = "p95, budget 5 %"


class Limits(NamedTuple):
    """The limits of ours, in relation to no hedge: p99 at up to 80 %, p50 at 95 %, and requests per call."""

    p99: float
    p50: float
    requests: float = 1.055


#: By whether the dependency stops cancelled requests.
LIMITS = {True: Limits(0.45, 1.05), False: Limits(0.55, 1.25)}


class _Jumping(selectors.DefaultSelector):
    """A selector that does not wait: the time of its loop jumps to the next timer."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += max(0.0, timeout or 0.0)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = _Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


class _LoopClock:
    """The clock of the toolkit, by the time of a jumping loop."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop
        self.random: Callable[[], float] = random.Random(0).random

    def now(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return self._loop.time()

    def sleep(self, seconds: float, wake: Waitable | None = None) -> None:
        raise NotImplementedError("no sync code is simulated")

    def run_and_wait(self, begin: Callable[[], object], done: Waitable, seconds: float) -> bool:
        raise NotImplementedError("no sync code is simulated")

    def sleep_async(self, seconds: float) -> Awaitable[None]:
        return asyncio.sleep(seconds)

    def move_on_after(self, seconds: float, *, shared: bool = True) -> AbstractContextManager[TimeLimit]:
        return SystemClock().move_on_after(seconds, shared=shared)


class _Dependency:
    """The servers, and one queue in front of them.

    The first copy of each call takes the same time in each run, so that runs differ by the further copies alone.
    """

    def __init__(self, clock: Clock, calls: int, seed: int, *, stops: bool) -> None:
        self._clock = clock
        self._stops = stops
        self._servers = asyncio.Semaphore(SERVERS)
        first, self._further = random.Random(seed), random.Random(seed + 1)
        self._seconds = [_service(first) for _ in range(calls)]
        self.requests = 0

    async def request(self, number: int) -> None:
        """Wait for the queue and for the service. Where the dependency *stops*, a cancelled request ends."""
        self.requests += 1
        seconds, self._seconds[number] = self._seconds[number], 0.0
        if not seconds:
            seconds = _service(self._further)
        if self._stops:
            async with self._servers:
                await self._clock.sleep_async(seconds)
        else:
            await asyncio.shield(asyncio.create_task(self._serve(seconds)))

    async def _serve(self, seconds: float) -> None:
        async with self._servers:
            await self._clock.sleep_async(seconds)


def _service(chance: random.Random) -> float:
    seconds = chance.expovariate(1.0)
    if chance.random() < _STRAGGLERS:
        seconds *= _TIMES_SLOWER
    return seconds


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """The latencies of a run, in seconds, and its requests per call."""

    p50: float
    p99: float
    p999: float
    requests: float


def simulate(
    make: Callable[[], Policy] | None, utilisation: float, calls: int, seed: int = 1, *, stops: bool = True
) -> Result:
    """Run *calls* calls, hedged by what *make* returns; the first tenth of them is not measured."""
    loop = _Loop()
    clock = _LoopClock(loop)
    with using_clock(clock), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_simulate(clock, make, utilisation, calls, seed, stops))


async def _simulate(
    clock: Clock, make: Callable[[], Policy] | None, utilisation: float, calls: int, seed: int, stops: bool
) -> Result:
    arrivals = random.Random(seed)
    dependency = _Dependency(clock, calls, seed + 1, stops=stops)
    call: Callable[[int], Any] = dependency.request
    if make is not None:
        call = make()(dependency.request)
    took: list[float] = []

    async def one(number: int) -> None:
        began = clock.now()
        await call(number)
        took.append(clock.now() - began)

    async with asyncio.TaskGroup() as tasks:
        for number in range(calls):
            await asyncio.sleep(arrivals.expovariate(utilisation * SERVERS / _MEAN))
            tasks.create_task(one(number))
    measured = sorted(took[calls // 10 :])
    p50, p99, p999 = (measured[int(share * len(measured))] for share in (0.5, 0.99, 0.999))
    return Result(p50, p99, p999, dependency.requests / calls)


Table: TypeAlias = dict[float, dict[str, Result]]


def run(calls: int, *, stops: bool) -> Table:
    """Return the results by utilisation and policy."""
    return {
        utilisation: {name: simulate(make, utilisation, calls, stops=stops) for name, make in POLICIES.items()}
        for utilisation in UTILISATIONS
    }


def misses(found: Table, limits: Limits) -> list[str]:
    """Return the limits that our default misses."""
    missed: list[str] = []
    for utilisation, results in found.items():
        none, ours = results["none"], results[OURS]
        if ours.requests > limits.requests:
            missed.append(f"{utilisation:.0%}: {ours.requests:.3f} requests per call, more than {limits.requests}")
        if utilisation <= 0.8 and ours.p99 > limits.p99 * none.p99:
            missed.append(f"{utilisation:.0%}: p99 {ours.p99:.3g} s, more than {limits.p99} of {none.p99:.3g} s")
        if utilisation > 0.9 and ours.p50 > limits.p50 * none.p50:
            missed.append(f"{utilisation:.0%}: p50 {ours.p50:.3g} s, more than {limits.p50} of {none.p50:.3g} s")
    return missed


def lines(found: Table) -> list[str]:
    """Return the results as the lines of a Markdown table."""
    shown = ["| utilisation | hedge | p50 | p99 | p99.9 | extra calls |", "|---|---|---|---|---|---|"]
    for utilisation, results in found.items():
        for name, row in results.items():
            numbers = f"{row.p50:.2f} | {row.p99:.3g} | {row.p999:.3g} | {row.requests - 1:.1%}"
            shown.append(f"| {utilisation:.0%} | {name} | {numbers} |")
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return 1 if our default misses its limits."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.hedge", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout in place of the tables")
    parser.add_argument("--calls", type=int, default=10_000, help="the calls of each run")
    options = parser.parse_args(arguments)
    found = {stops: run(options.calls, stops=stops) for stops in LIMITS}
    if options.json:
        print(json.dumps({_TITLES[stops]: _plain(table) for stops, table in found.items()}))
    else:
        for stops, table in found.items():
            print(_TITLES[stops], *lines(table), sep="\n", end="\n\n")
    missed = [line for stops, table in found.items() for line in misses(table, LIMITS[stops])]
    for line in missed:
        print(line, file=sys.stderr)
    return bool(missed)


_TITLES = {True: "cancelled requests are stopped", False: "cancelled requests are served to their end"}


def _plain(table: Table) -> dict[str, dict[str, dict[str, float]]]:
    return {str(at): {name: dataclasses.asdict(row) for name, row in rows.items()} for at, rows in table.items()}


if __name__ == "__main__":
    sys.exit(main())
