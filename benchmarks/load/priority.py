"""A spike of calls that do not matter, and what is left of those that do: with priorities, and without.

A dependency does 200 calls a second: ten at a time, of 50 ms in the mean. Another 40 wait for it, and of further ones
it rejects a growing share, at random. 60 critical calls come in a second, 60 normal ones, and 20 sheddable ones; for
half a minute twelve times as many sheddable ones. The bulkhead has ten slots, as many as the dependency; the adaptive
limit finds the number. Throttle and partial circuit know no number: they reject a share of the calls after the
dependency has rejected some, and it takes no notice of priorities.

The dependency and the time are simulated. The policies are the real ones.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.load.picture import ACCENT, FAINT, heading, panel
from benchmarks.load.table import Progress, Result, Table
from resilience import (
    AdaptiveLimitError,
    BulkheadFullError,
    CircuitBreaker,
    CircuitOpenError,
    ErrorCategory,
    Pipeline,
    ThrottledError,
    adaptive_limit,
    bulkhead,
    circuit_breaker,
    priority,
    throttle,
    timeout,
)
from resilience.errors import CallTimeoutError
from resilience.policies.priority import Level
from resilience.simulation._virtual_loop import run_virtually

__all__ = ["POLICIES", "TABLE", "complaints", "find", "rows", "simulate"]

Request: TypeAlias = Callable[[], Awaitable[None]]

SERVERS, SERVICE, PATIENCE, PLACES = 10, 0.05, 1.0, 40
RATES: Final[Mapping[Level, int]] = {"critical": 60, "normal": 60, "sheddable": 20}
SPIKE = 12
HEALTHY, TROUBLE, AFTER = 15, 30, 15  # seconds
_SEED = 1
_REJECTIONS = (AdaptiveLimitError, BulkheadFullError, CircuitOpenError, ThrottledError)


class BusyError(Exception):
    """The dependency rejects a call: as many wait for it as it takes."""

    category = ErrorCategory.UNAVAILABLE


@dataclass(frozen=True)
class Shedder:
    """A policy that sheds load."""

    name: str
    code: str
    make: Callable[[], Any]
    colour: str
    #: Whether it keeps the load off the dependency altogether, so that nothing is rejected there.
    is_limit: bool = True


_numbers = itertools.count(1)


def _partial_circuit() -> CircuitBreaker:
    return circuit_breaker(f"simulated dependency {next(_numbers)}", partial=True)


POLICIES = (
    Shedder("bulkhead", '`bulkhead("dependency", 10)`', lambda: bulkhead("dependency", SERVERS), "#e08214"),
    Shedder("adaptive_limit", '`adaptive_limit("dependency")`', lambda: adaptive_limit("dependency"), ACCENT),
    Shedder("throttle", '`throttle("dependency", k=1.2)`', lambda: throttle("dependency", k=1.2), "#2ca02c", False),
    Shedder(
        "partial circuit",
        '`circuit_breaker("dependency", partial=True)`',
        _partial_circuit,
        "#2b83c6",
        False,
    ),
)


class Dependency:
    """So many servers, and so many places to wait for one. With more calls it rejects a growing share of them."""

    def __init__(self) -> None:
        self.chance = random.Random(_SEED)
        self.servers = asyncio.Semaphore(SERVERS)
        self.calls = 0

    async def request(self) -> None:
        """Do a call, or reject it."""
        if self.chance.random() < (self.calls - SERVERS - PLACES) / PLACES:
            raise BusyError
        self.calls += 1
        try:
            async with self.servers:
                await asyncio.sleep(SERVICE * self.chance.lognormvariate(-0.125, 0.5))
        finally:
            self.calls -= 1


@dataclass
class Outcome:
    """The calls of one level, by the second in which they came."""

    came: list[int] = field(default_factory=lambda: [0] * (HEALTHY + TROUBLE + AFTER))
    admitted: list[int] = field(default_factory=lambda: [0] * (HEALTHY + TROUBLE + AFTER))
    answered: list[int] = field(default_factory=lambda: [0] * (HEALTHY + TROUBLE + AFTER))

    def share(self, what: Sequence[int]) -> float:
        """Return the share of the calls that came in the spike which are counted in *what*."""
        spike = slice(HEALTHY, HEALTHY + TROUBLE)
        return sum(what[spike]) / sum(self.came[spike])


def simulate(shedder: Shedder, *, with_priority: bool) -> dict[Level, Outcome]:
    """Simulate the spike; the same calls for all policies."""
    outcomes = {level: Outcome() for level in RATES}
    run_virtually(_callers(shedder, outcomes, with_priority=with_priority), _SEED)
    return outcomes


async def _callers(shedder: Shedder, outcomes: dict[Level, Outcome], *, with_priority: bool) -> None:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    guarded: Request = Pipeline(shedder.make(), timeout(PATIENCE))(Dependency().request)

    async def caller(level: Level, second: int) -> None:
        outcome, is_admitted = outcomes[level], True
        outcome.came[second] += 1
        block: AbstractContextManager[object] = priority(level) if with_priority else nullcontext()
        began = loop.time()
        try:
            with block:
                await guarded()
            outcome.answered[second] += loop.time() - began <= PATIENCE
        except _REJECTIONS:
            is_admitted = False
        except (BusyError, CallTimeoutError):
            pass  # not answered
        outcome.admitted[second] += is_admitted

    for moment, level in _arrivals():
        await asyncio.sleep(moment - loop.time())
        task = loop.create_task(caller(level, int(moment)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.sleep(2 * PATIENCE)


def _arrivals() -> list[tuple[float, Level]]:
    chance, found = random.Random(f"{_SEED} callers"), []
    for level, rate in RATES.items():
        for second in range(HEALTHY + TROUBLE + AFTER):
            in_spike = level == "sheddable" and HEALTHY <= second < HEALTHY + TROUBLE
            calls = rate * (1 + (SPIKE - 1) * in_spike)
            found += [(second + chance.random(), level) for _ in range(calls)]
    return sorted(found)


def find(progress: Progress = lambda _: None) -> Result:
    """Simulate each policy with and without priorities."""
    found = []
    for shedder in POLICIES:
        row: dict[str, Any] = {"name": shedder.name, "code": shedder.code, "is_limit": shedder.is_limit}
        for name, with_priority in (("without", False), ("with", True)):
            progress(f"{shedder.name}, {name}")
            outcomes = simulate(shedder, with_priority=with_priority)
            row[name] = {
                level: {
                    "admitted": round(outcome.share(outcome.admitted), 4),
                    "answered": round(outcome.share(outcome.answered), 4),
                    "seconds": outcome.answered,
                }
                for level, outcome in outcomes.items()
            }
        found.append(row)
    return {"rates": RATES, "rows": found}


def rows(found: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return head and rows of the table."""
    head = ["policy", "without: critical answered", "with: critical answered", "admitted", "normal", "sheddable"]
    return head, [[f"{row['name']}: {row['code']}", *_cells(row)] for row in found["rows"]]


def _cells(row: Any) -> Sequence[str]:
    levels = row["with"]
    shares = [row["without"]["critical"]["answered"], levels["critical"]["answered"], levels["critical"]["admitted"]]
    shares += [levels[level]["answered"] for level in ("normal", "sheddable")]
    return [f"{share:.1%}" for share in shares]


_LEAST_CRITICAL = 0.994


def complaints(found: Result) -> Sequence[str]:
    """Return where critical calls are shed, or not answered though a limit keeps the load off the dependency."""
    said = []
    for row in found["rows"]:
        critical = row["with"]["critical"]
        if critical["admitted"] < _LEAST_CRITICAL:
            said.append(f"priority: {row['name']} admits {critical['admitted']:.4f} of the critical calls")
        if row["is_limit"] and critical["answered"] < _LEAST_CRITICAL:
            said.append(f"priority: with {row['name']} {critical['answered']:.4f} of the critical calls are answered")
    return said


# -- the picture ------------------------------------------------------------------------------------------------------


def draw(found: Result) -> Figure:
    """Return the figure: the critical calls answered second by second, without priorities and with them."""
    figure = heading(
        "Twelve times as many sheddable calls, for half a minute",
        "Critical calls that are answered. All calls together are nearly twice what the dependency does.",
        {shedder.name: (shedder.colour, "-") for shedder in POLICIES},
    )
    _lines(panel(figure, 0, "Without priorities", "critical calls answered, share by second"), found, "without")
    _lines(panel(figure, 1, "With priorities", "critical calls answered, share by second"), found, "with")
    return figure


def _lines(axes: Axes, found: Result, part: str) -> None:
    for shedder, row in zip(POLICIES, found["rows"], strict=True):
        answered = [number / RATES["critical"] for number in row[part]["critical"]["seconds"]]
        smooth = [statistics.fmean(answered[max(0, at - 1) : at + 2]) for at in range(len(answered))]
        axes.plot(range(len(smooth)), smooth, color=shedder.colour)
    axes.axvspan(HEALTHY, HEALTHY + TROUBLE, color=FAINT, alpha=0.12, linewidth=0)
    axes.set_ylim(0, 1.08)
    axes.set_xlim(0, HEALTHY + TROUBLE + AFTER)
    axes.set_xlabel("seconds", size=8.5, color=FAINT)


TABLE = Table("priority", "Priorities", find, rows, complaints, draw)
