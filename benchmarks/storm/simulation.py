"""One simulation: clients, a dependency, and a timeline of calls, answers and load by second."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.storm import virtual_loop
from benchmarks.storm.dependency import Dependency, Scene
from benchmarks.storm.strategies import FAILURES, Request, Strategy, logging_disabled

__all__ = ["ENOUGH", "WINDOW", "Timeline", "simulate"]

_SEED = 1
#: The dependency has recovered when, from then on, this share of the calls of so many seconds is answered.
ENOUGH, WINDOW = 0.95, 5
#: Seconds before the end: calls that begin then may not have ended, and are not judged.
_NOT_JUDGED = 5


@dataclass
class Timeline:
    """Calls, answers and load, by second."""

    clients: int
    scene: Scene
    #: Calls begun in that second, and how many of these were answered in the end.
    begun: list[int] = field(init=False)
    answered: list[int] = field(init=False)
    #: Requests the dependency got in that second.
    load: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.begun, self.answered, self.load = ([0] * int(self.scene.end) for _ in range(3))

    def sent(self, begin: float, end: float) -> float:
        """Return how many requests there were for each call begun from *begin* to *end*."""
        return sum(self.load[int(begin) : int(end)]) / sum(self.begun[int(begin) : int(end)])

    def peak(self) -> float:
        """Return the largest load of a second, for each call begun in it."""
        return max(load / begun for load, begun in zip(self.load, self.begun, strict=True))

    def good(self, begin: float, end: float) -> float:
        """Return the share of the calls begun from *begin* to *end* that were answered."""
        return sum(self.answered[int(begin) : int(end)]) / sum(self.begun[int(begin) : int(end)])

    def recovery(self) -> int | None:
        """Return how many seconds after the trouble calls are answered again, and stay so; None: never."""
        returns, last = int(self.scene.returns), int(self.scene.end) - _NOT_JUDGED - WINDOW
        bad = [second for second in range(returns, last + 1) if self.good(second, second + WINDOW) < ENOUGH]
        if not bad:
            return 0
        return None if bad[-1] == last else bad[-1] + 1 - returns


def simulate(strategy: Strategy, scene: Scene, clients: int | None = None) -> Timeline:
    """Simulate *strategy* in *scene*, with its own number of clients or another."""
    timeline = Timeline(strategy.clients if clients is None else clients, scene)
    dependency = Dependency(scene, timeline.clients)
    guarded = [strategy.wrap(dependency.request) for _ in range(strategy.processes)]
    with logging_disabled(), _rare_collection():
        virtual_loop.run(_crowd(guarded, timeline), _SEED)
    timeline.load = dependency.load[: len(timeline.load)]
    return timeline


async def _crowd(guarded: list[Request], timeline: Timeline) -> None:
    """Have each client make one call in each second, whether the earlier ones have ended or not: users do not wait."""
    loop = asyncio.get_running_loop()
    calls: set[asyncio.Task[None]] = set()
    bugs: list[Exception] = []

    async def call(request: Request, second: int) -> None:
        try:
            await request()
        except FAILURES:
            return
        except Exception as error:  # a bug is no failure of the dependency
            bugs.append(error)
            return
        timeline.answered[second] += 1

    async def client(number: int) -> None:
        request = guarded[number % len(guarded)]
        chance = random.Random(f"{_SEED} {number}")  # the same moments for all strategies
        for second in range(len(timeline.begun)):
            await asyncio.sleep(second + chance.random() - loop.time())
            timeline.begun[second] += 1
            task = loop.create_task(call(request, second))
            calls.add(task)
            task.add_done_callback(calls.discard)

    clients = [loop.create_task(client(number)) for number in range(timeline.clients)]
    await asyncio.sleep(timeline.scene.end)
    for task in (*clients, *calls):
        task.cancel()
    if bugs:
        raise ExceptionGroup(f"{len(bugs)} calls", bugs[:3])


@contextmanager
def _rare_collection() -> Generator[None]:
    # With tens of thousands of calls in flight, frequent collections would take most of the time.
    before = gc.get_threshold()
    gc.set_threshold(100_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
