"""Queues in front of ten slots: how many calls are answered in time when more come than the slots can do.

Users call a service, which calls a dependency by ten slots. A call of the dependency takes 50 ms in the mean, so that
the slots can do 200 calls a second. A user waits for half a second and then leaves; an answer that comes later is work
in vain. The users, the dependency and the time are simulated. The queues are the real ones.
"""

from __future__ import annotations

import asyncio
import functools
import random
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.load.picture import ACCENT, FAINT, INK, heading, panel
from benchmarks.load.table import Progress, Result, Table
from resilience import BulkheadFullError, DeadlineExceededError, Pipeline, bulkhead, deadline
from resilience.simulation._virtual_loop import run_virtually

__all__ = ["LOADS", "OURS", "QUEUES", "SECONDS", "TABLE", "Queue", "simulate"]

Request: TypeAlias = Callable[[], Awaitable[None]]

SLOTS, SERVICE, PATIENCE = 10, 0.05, 0.5
#: Calls per second that the slots can do.
CAPACITY = SLOTS / SERVICE
#: Calls that come, as a multiple of that.
LOADS = (0.9, 1.1, 1.5, 3.0)
SECONDS = 60
_SEED = 1
#: The load whose seconds are drawn.
_DRAWN = 1.5


@dataclass(frozen=True)
class Queue:
    """A way to wait for a slot: *wrap* makes the guarded request, in the loop where it runs."""

    name: str
    code: str
    wrap: Callable[[Request], Request]
    colour: str
    style: Any = "-"


def _semaphore(request: Request) -> Request:
    slots = asyncio.Semaphore(SLOTS)

    async def guarded() -> None:
        async with slots:
            await request()

    return guarded


def _semaphore_in_time(request: Request) -> Request:
    waiting = _semaphore(request)

    async def guarded() -> None:
        async with asyncio.timeout(PATIENCE):
            await waiting()

    return guarded


def _fifo(length: int, request: Request) -> Request:
    return bulkhead("dependency", SLOTS, max_queue=length, order="oldest")(request)


def _ours(request: Request) -> Request:
    return Pipeline(deadline(PATIENCE), bulkhead("dependency", SLOTS))(request)


OURS = Queue("bulkhead() as it comes", '`deadline(0.5)` and `bulkhead("dependency", 10)`', _ours, ACCENT)
QUEUES = (
    Queue("unbounded", "`asyncio.Semaphore(10)`", _semaphore, INK, (0, (2, 2))),
    Queue("unbounded, in a time limit", "the same in `asyncio.timeout(0.5)`", _semaphore_in_time, "#2b83c6"),
    Queue(
        "100 places",
        '`bulkhead("dependency", 10, max_queue=100, order="oldest")`',
        functools.partial(_fifo, 100),
        "#e08214",
    ),
    Queue(
        "20 places",
        '`bulkhead("dependency", 10, max_queue=20, order="oldest")`',
        functools.partial(_fifo, 20),
        "#2ca02c",
    ),
    OURS,
)


@dataclass
class Outcome:
    """The calls of one simulation, counted by how they ended."""

    #: Calls begun, and calls answered while their user still waited, by the second in which they began.
    begun: list[int] = field(default_factory=lambda: [0] * SECONDS)
    answered: list[int] = field(default_factory=lambda: [0] * SECONDS)
    #: For how many seconds the users waited whose calls were answered.
    waits: list[float] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Calls answered in time, as a share of what the slots can do."""
        return sum(self.answered) / (CAPACITY * SECONDS)


def simulate(queue: Queue, load: float) -> Outcome:
    """Simulate *queue* at so many times the capacity; the same users and service times for all queues."""
    outcome = Outcome()
    run_virtually(_users(queue, load, outcome), _SEED)
    return outcome


async def _users(queue: Queue, load: float, outcome: Outcome) -> None:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def request() -> None:
        await asyncio.sleep(SERVICE)

    guarded = queue.wrap(request)

    async def user(second: int) -> None:
        began = loop.time()
        try:
            await guarded()
        except (BulkheadFullError, DeadlineExceededError, TimeoutError):
            return
        if loop.time() - began <= PATIENCE and loop.time() <= SECONDS:
            outcome.answered[second] += 1
            outcome.waits.append(loop.time() - began)

    chance = random.Random(f"{_SEED} {load}")
    for moment in sorted(chance.uniform(0, SECONDS) for _ in range(round(load * CAPACITY * SECONDS))):
        await asyncio.sleep(moment - loop.time())
        second = int(moment)
        outcome.begun[second] += 1
        task = loop.create_task(user(second))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.sleep(PATIENCE)
    for task in tuple(tasks):
        task.cancel()


def find(progress: Progress) -> Result:
    """Simulate each queue at each load."""
    rows = []
    for queue in QUEUES:
        cells = []
        for load in LOADS:
            progress(f"{queue.name}, {load:g}x")
            cells.append(_cell(load, simulate(queue, load)))
        rows.append({"name": queue.name, "code": queue.code, "cells": cells})
    return {"capacity": CAPACITY, "patience": PATIENCE, "rows": rows}


def _cell(load: float, outcome: Outcome) -> dict[str, object]:
    waits = sorted(outcome.waits)
    return {
        "load": load,
        "goodput": round(outcome.goodput, 4),
        "p50": round(statistics.median(waits), 4),
        "p99": round(waits[int(0.99 * len(waits))], 4),
        "answered": outcome.answered,
    }


def rows(found: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return goodput, and the median wait of the calls that were answered, at each load."""
    head = ["queue", *(f"{load:g}x" for load in LOADS)]
    lines = [
        [
            f"{row['name']}: {row['code']}",
            *(f"{cell['goodput']:.3f}, {1000 * cell['p50']:.0f} ms" for cell in row["cells"]),
        ]
        for row in found["rows"]
    ]
    return head, lines


#: The least goodput of ours, by load.
_LEAST = {0.9: 0.895, 1.1: 0.98, 1.5: 0.98, 3.0: 0.98}


def complaints(found: Result) -> list[str]:
    """Return where ours answers too few calls in time, or too late."""
    ours = next(row for row in found["rows"] if row["name"] == OURS.name)
    said = []
    for cell in ours["cells"]:
        least = _LEAST[cell["load"]]
        if cell["goodput"] < least:
            said.append(f"queues: at {cell['load']:g}x ours does {cell['goodput']:.4f} of the capacity, not {least:g}")
        if cell["p99"] > PATIENCE:
            said.append(f"queues: at {cell['load']:g}x the p99 of ours is {cell['p99']:g} s")
    return said


# -- the picture ------------------------------------------------------------------------------------------------------


def draw(found: Result) -> Figure:
    """Return the figure: what is answered second by second on the left, and by load on the right."""
    figure = heading(
        "Ten slots, and queues in front of them",
        "Calls answered while their user still waits (0.5 s). The slots can do 200 a second.",
        {queue.name: (queue.colour, queue.style) for queue in QUEUES},
    )
    _by_second(
        panel(figure, 0, f"{_DRAWN:g} times as many calls come as the slots can do", "answered per second"), found
    )
    _by_load(panel(figure, 1, "By load", "share of what the slots can do"), found)
    return figure


def _by_second(axes: Axes, found: Result) -> None:
    for queue, row in zip(QUEUES, found["rows"], strict=True):
        cell = next(cell for cell in row["cells"] if cell["load"] == _DRAWN)
        axes.plot(
            [second + 0.5 for second in range(SECONDS)], cell["answered"], color=queue.colour, linestyle=queue.style
        )
    axes.axhline(CAPACITY, color=FAINT, linewidth=0.8, linestyle=":")
    axes.set_ylim(0, 1.25 * CAPACITY)
    axes.set_xlim(0, SECONDS)
    axes.set_xlabel("seconds", size=8.5, color=FAINT)


def _by_load(axes: Axes, found: Result) -> None:
    for queue, row in zip(QUEUES, found["rows"], strict=True):
        goodputs = [cell["goodput"] for cell in row["cells"]]
        axes.plot(LOADS, goodputs, color=queue.colour, linestyle=queue.style, marker="o", markersize=4)
    axes.set_ylim(0, 1.1)
    axes.set_xticks(LOADS, [f"{load:g}x" for load in LOADS])
    axes.set_xlabel("calls that come, as a multiple of what the slots can do", size=8.5, color=FAINT)


TABLE = Table("bulkhead", "Queues", find, rows, complaints, draw)
