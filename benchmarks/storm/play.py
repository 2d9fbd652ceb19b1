"""One run: so many clients, one dependency, and a diary of what each second came to."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.storm import virtual
from benchmarks.storm.contestants import FAILURES, Contestant, Request, quiet
from benchmarks.storm.scene import Dependency, Scene

__all__ = ["ENOUGH", "WINDOW", "Diary", "play"]

_SEED = 1
#: It has recovered when this share of the calls begun within so many seconds is answered, from then on.
ENOUGH, WINDOW = 0.95, 5
#: Seconds before the end in which calls begin that may still be on their way then: not judged.
_UNDECIDED = 5


@dataclass
class Diary:
    """What each second came to."""

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
        returns, last = int(self.scene.returns), int(self.scene.end) - _UNDECIDED - WINDOW
        bad = [second for second in range(returns, last + 1) if self.good(second, second + WINDOW) < ENOUGH]
        if not bad:
            return 0
        return None if bad[-1] == last else bad[-1] + 1 - returns


def play(contestant: Contestant, scene: Scene, clients: int | None = None) -> Diary:
    """Let *contestant* go through *scene*, with its own number of clients or another one."""
    diary = Diary(contestant.clients if clients is None else clients, scene)
    dependency = Dependency(scene, diary.clients)
    guarded = [contestant.wrap(dependency.request) for _ in range(contestant.processes)]
    with quiet(), _seldom_collecting():
        virtual.run(_crowd(guarded, diary), _SEED)
    diary.load = dependency.load[: len(diary.load)]
    return diary


async def _crowd(guarded: list[Request], diary: Diary) -> None:
    """Have each client make one call in each second, whether those before are done or not: users do not wait."""
    loop = asyncio.get_running_loop()
    calls: set[asyncio.Task[None]] = set()
    mistakes: list[Exception] = []

    async def call(request: Request, second: int) -> None:
        try:
            await request()
        except FAILURES:
            return
        except Exception as error:  # a mistake must not pass for a failure of the dependency's
            mistakes.append(error)
            return
        diary.answered[second] += 1

    async def client(number: int) -> None:
        request = guarded[number % len(guarded)]
        chance = random.Random(f"{_SEED} {number}")  # the same moments whoever takes part
        for second in range(len(diary.begun)):
            await asyncio.sleep(second + chance.random() - loop.time())
            diary.begun[second] += 1
            task = loop.create_task(call(request, second))
            calls.add(task)
            task.add_done_callback(calls.discard)

    clients = [loop.create_task(client(number)) for number in range(diary.clients)]
    await asyncio.sleep(diary.scene.end)
    for task in (*clients, *calls):
        task.cancel()
    if mistakes:
        raise ExceptionGroup(f"{len(mistakes)} calls", mistakes[:3])


@contextmanager
def _seldom_collecting() -> Generator[None]:
    # Tens of thousands of calls are on their way: to look at all of them over and over would take most of the time.
    before = gc.get_threshold()
    gc.set_threshold(100_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
