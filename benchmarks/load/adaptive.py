"""Limits of the calls in flight, before a dependency that loses half of its servers, and one that becomes slower.

300 calls come in a second. The dependency does 400: twenty at a time, of 50 ms in the mean. *Halved*: for a minute it
does 200, and of these the answered ones count, whose user still waits: a second. A call is timed out after a second,
and done by the dependency all the same. *Slower*: for five minutes each call takes four times as long, and the
dependency does four times as many at a time: its capacity stays, but it needs 60 calls in flight for what comes.

The dependency, the users and the time are simulated. The policies are the real ones; the laws of others (`_laws`) stand
in the least that a limiter is: it counts the calls in flight, and refuses one too many.
"""

from __future__ import annotations

import asyncio
import functools
import random
import statistics
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.load._laws import Aimd, FailsafeGo, Gradient2, Law, Vegas
from benchmarks.load.picture import ACCENT, FAINT, INK, heading, panel
from benchmarks.load.table import Progress, Result, Table
from resilience import AdaptiveLimitError, BulkheadFullError, Pipeline, adaptive_limit, bulkhead, timeout
from resilience.errors import CallTimeoutError
from resilience.simulation._virtual_loop import run_virtually

__all__ = ["LIMITS", "OURS", "TABLE", "Limit", "complaints", "find", "rows", "simulate"]

Request: TypeAlias = Callable[[], Awaitable[None]]
#: So many seconds with so many servers, each of which takes so long for a call.
Phase: TypeAlias = tuple[int, int, float]

RATE, SERVERS, SERVICE, PATIENCE = 300, 20, 0.05, 1.0
HALVED: Final[Sequence[Phase]] = ((30, SERVERS, SERVICE), (60, SERVERS // 2, SERVICE), (60, SERVERS, SERVICE))
SLOWER: Final[Sequence[Phase]] = ((30, SERVERS, SERVICE), (300, 4 * SERVERS, 4 * SERVICE), (30, SERVERS, SERVICE))
#: Calls per second that the dependency does while half of its servers are gone.
_CAPACITY = SERVERS / 2 / SERVICE
_SETTLED = 5  # seconds after a change in which the median and the share of a phase are not measured
_RECOVERED = 0.9
_SEED = 1


@dataclass(frozen=True)
class Limit:
    """A limit of the calls in flight: *wrap* makes the guarded request, in the loop where it runs."""

    name: str
    code: str
    wrap: Callable[[Request], Request]
    colour: str
    style: Any = "-"


class _RefusedError(Exception):
    """A law of others refuses a call."""


def _none(request: Request) -> Request:
    return timeout(PATIENCE)(request)


def _static(slots: int, request: Request) -> Request:
    return Pipeline(bulkhead("dependency", slots), timeout(PATIENCE))(request)


def _ours(request: Request) -> Request:
    return Pipeline(adaptive_limit("dependency"), timeout(PATIENCE))(request)


def _by_law(make: Callable[[], Law], request: Request) -> Request:
    """Guard *request* by a law: the calls in flight are counted, and one too many is refused."""
    law, limited, in_flight = make(), _none(request), 0

    async def guarded() -> None:
        nonlocal in_flight
        if in_flight >= law.limit:
            raise _RefusedError
        in_flight += 1
        loop, dropped, began_with = asyncio.get_running_loop(), False, in_flight
        began = loop.time()
        try:
            await limited()
        except CallTimeoutError:
            dropped = True
            raise
        finally:
            is_full = in_flight >= law.limit
            in_flight -= 1
            now = loop.time()
            law.record(now, now - began, began_with, dropped=dropped, is_full=is_full)

    return guarded


OURS = Limit("adaptive_limit", '`adaptive_limit("dependency")`', _ours, ACCENT)
LIMITS = (
    Limit("none", "a time limit alone", _none, INK, (0, (2, 2))),
    Limit("static 25", '`bulkhead("dependency", 25)`', functools.partial(_static, 25), "#7f7f7f"),
    Limit("static 200", '`bulkhead("dependency", 200)`', functools.partial(_static, 200), "#e08214"),
    Limit("AIMD", "Netflix, 0.9 after a window with a time-out", functools.partial(_by_law, Aimd), "#8c564b"),
    Limit("Vegas", "Netflix", functools.partial(_by_law, Vegas), "#2b83c6"),
    Limit("Gradient2", "Netflix", functools.partial(_by_law, Gradient2), "#9467bd"),
    Limit("failsafe-go", "adaptive limiter", functools.partial(_by_law, FailsafeGo), "#2ca02c"),
    OURS,
)


class Dependency:
    """So many servers with one queue. A call that was timed out is done all the same: the dependency cannot know."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.servers, self.service = SERVERS, SERVICE
        self.busy = 0
        self.queue: deque[asyncio.Future[None]] = deque()

    def begin(self, phase: Phase) -> None:
        """Have so many servers, each of which takes so long. Those that go finish what they do."""
        _, self.servers, self.service = phase
        self._serve()

    async def request(self) -> None:
        """Wait for a server, and until it has done the call."""
        answer = asyncio.get_running_loop().create_future()
        self.queue.append(answer)
        self._serve()
        await answer

    def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while self.queue and self.busy < self.servers:
            self.busy += 1
            # A log-normal distribution of the mean 1: the median is 0.88, and one in a hundred takes 2.8.
            took = self.service * self.chance.lognormvariate(-0.125, 0.5)
            loop.call_later(took, self._answer, self.queue.popleft())

    def _answer(self, answer: asyncio.Future[None]) -> None:
        self.busy -= 1
        if not answer.done():  # else the call was timed out
            answer.set_result(None)
        self._serve()


@dataclass
class Outcome:
    """The calls of one simulation, by the second in which they ended or were refused."""

    seconds: int
    answered: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    #: For how long the users waited whose calls were answered, by second.
    waits: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answered, self.refused = [0] * self.seconds, [0] * self.seconds
        self.waits = [[] for _ in range(self.seconds)]

    def per_second(self, begin: int, end: int) -> float:
        """Return the calls answered per second, between two seconds."""
        return sum(self.answered[begin:end]) / (end - begin)

    def median_wait(self, begin: int, end: int) -> float | None:
        """Return the median of the answered calls' waits; None without any."""
        waits = [wait for second in self.waits[begin:end] for wait in second]
        if not waits:
            return None
        return round(statistics.median(waits), 4)

    def back_in(self, begin: int) -> int | None:
        """Return after how many seconds nine of ten calls of a second are answered; None: never."""
        ended = (number for number, found in enumerate(self.answered[begin:], 1) if found >= _RECOVERED * RATE)
        return next(ended, None)


def simulate(limit: Limit, phases: Sequence[Phase]) -> Outcome:
    """Simulate *limit* through *phases*; the same users and the same work for all limits."""
    outcome = Outcome(sum(seconds for seconds, _, _ in phases))
    run_virtually(_users(limit, phases, outcome), _SEED)
    return outcome


async def _users(limit: Limit, phases: Sequence[Phase], outcome: Outcome) -> None:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    dependency = Dependency(random.Random(_SEED))
    guarded = limit.wrap(dependency.request)

    async def user() -> None:
        began = loop.time()
        try:
            await guarded()
        except (AdaptiveLimitError, BulkheadFullError, _RefusedError):
            outcome.refused[min(int(loop.time()), outcome.seconds - 1)] += 1
        except CallTimeoutError:
            pass  # not answered
        else:
            second, waited = int(loop.time()), loop.time() - began
            if waited <= PATIENCE and second < outcome.seconds:
                outcome.answered[second] += 1
                outcome.waits[second].append(waited)

    chance, begin = random.Random(f"{_SEED} users"), 0
    for phase in phases:
        dependency.begin(phase)
        end = begin + phase[0]
        for moment in sorted(chance.uniform(begin, end) for _ in range(RATE * phase[0])):
            await asyncio.sleep(moment - loop.time())
            task = loop.create_task(user())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(end - loop.time())
        begin = end
    for task in tuple(tasks):
        task.cancel()


def find(progress: Progress = lambda _: None) -> Result:
    """Simulate each limit through both."""
    found = []
    for limit in LIMITS:
        progress(f"{limit.name}, halved")
        halved = _measured(simulate(limit, HALVED), HALVED)
        progress(f"{limit.name}, slower")
        slower = _measured(simulate(limit, SLOWER), SLOWER)
        found.append({"name": limit.name, "code": limit.code, "halved": halved, "slower": slower})
    return {"capacity": _CAPACITY, "rows": found}


def _measured(outcome: Outcome, phases: Sequence[Phase]) -> dict[str, Any]:
    (before, *_), (trouble, *_), _ = phases
    after = before + trouble
    return {
        "per_second": round(outcome.per_second(before, after), 1),
        "settled": round(outcome.per_second(before + _SETTLED, after), 1),
        "p50": outcome.median_wait(before + _SETTLED, after),
        "unloaded_p50": outcome.median_wait(0, before),
        "refused_in_health": sum(outcome.refused[:before]) + sum(outcome.refused[after + _SETTLED :]),
        "back_in": outcome.back_in(after),
        "answered": outcome.answered,
    }


def rows(found: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return head and rows of the table."""
    head = ["limit", "halved: answered/s", "of the capacity", "p50", "refused in health", "back in"]
    head += ["slower: answered/s", "p50", "back in"]
    return head, [[f"{row['name']}: {row['code']}", *_cells(row, found["capacity"])] for row in found["rows"]]


def _cells(row: Any, capacity: float) -> Sequence[str]:
    halved, slower = row["halved"], row["slower"]
    return [
        f"{halved['per_second']:.0f}",
        f"{halved['per_second'] / capacity:.3f}",
        _milliseconds(halved["p50"]),
        f"{halved['refused_in_health']:,}",
        _seconds(halved["back_in"]),
        f"{slower['settled']:.0f}",
        _milliseconds(slower["p50"]),
        _seconds(slower["back_in"]),
    ]


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{1000 * seconds:.0f} ms"


def _seconds(seconds: int | None) -> str:
    if seconds is None:
        return "never"
    return f"{seconds} s"


_LEAST_OF_CAPACITY, _MAX_P50, _LATEST_BACK, _LEAST_SLOWER = 0.97, 3.5, 5, 0.97


def complaints(found: Result) -> Sequence[str]:
    """Return what ours does worse than it must: nothing, if all is well."""
    ours = next(row for row in found["rows"] if row["name"] == OURS.name)
    halved, slower, said = ours["halved"], ours["slower"], []
    if halved["per_second"] < _LEAST_OF_CAPACITY * found["capacity"]:
        said.append(f"adaptive: {halved['per_second']} of {found['capacity']:g} calls per second are answered")
    if halved["p50"] > _MAX_P50 * halved["unloaded_p50"]:
        said.append(f"adaptive: the p50 is {halved['p50'] / halved['unloaded_p50']:.2f} times that in health")
    if halved["refused_in_health"]:
        said.append(f"adaptive: {halved['refused_in_health']} calls are refused in health")
    if slower["settled"] < _LEAST_SLOWER * RATE:
        said.append(f"adaptive: {slower['settled']} calls per second are answered while each takes longer")
    for name, each in (("halved", halved), ("slower", slower)):
        if each["back_in"] is None or each["back_in"] > _LATEST_BACK:
            said.append(f"adaptive, {name}: back in {each['back_in']} s")
    return said


# -- the picture ------------------------------------------------------------------------------------------------------


def draw(found: Result) -> Figure:
    """Return the figure: what is answered second by second, with half of the servers, and with slower ones."""
    figure = heading(
        "300 calls a second, and limits of the calls in flight",
        "Calls answered within a second. Left: a minute with half of the servers. Right: five minutes of slow calls.",
        {limit.name: (limit.colour, limit.style) for limit in LIMITS},
    )
    _lines(panel(figure, 0, "Half of the servers, which do 200 a second", "answered per second"), found, "halved", 120)
    _lines(panel(figure, 1, "Each call takes four times as long", "answered per second"), found, "slower", 360)
    return figure


def _lines(axes: Axes, found: Result, part: str, until: int) -> None:
    for limit, row in zip(LIMITS, found["rows"], strict=True):
        answered = row[part]["answered"][:until]
        smooth = [statistics.fmean(answered[max(0, at - 2) : at + 3]) for at in range(len(answered))]
        axes.plot(range(len(smooth)), smooth, color=limit.colour, linestyle=limit.style)
    axes.axhline(RATE, color=FAINT, linewidth=0.8, linestyle=":")
    axes.set_ylim(0, 1.15 * RATE)
    axes.set_xlim(0, until)
    axes.set_xlabel("seconds", size=8.5, color=FAINT)


TABLE = Table("adaptive", "Adaptive limits", find, rows, complaints, draw)
