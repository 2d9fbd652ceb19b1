"""Eight workers and a quota: what they do when a server answers 429, and asks them to wait for five seconds.

The server admits ten requests a second. To the first request it answers 429 with Retry-After 5, as where another
program has used the quota up; until then it refuses all. The workers begin within 0.4 seconds, and each makes ten
calls, one after the other. The server and the time are simulated. The policies are the real ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.load.picture import ACCENT, FAINT, INK, heading, panel
from benchmarks.load.table import Progress, Result, Table
from resilience import ErrorCategory, RateLimitedError, rate_limit, retry_on_category
from resilience.simulation._virtual_loop import run_virtually

__all__ = ["OURS", "TABLE", "WAYS", "Way", "simulate"]

Request: TypeAlias = Callable[[], Awaitable[None]]

WORKERS, CALLS, QUOTA, WAIT = 8, 10, 10, 5.0
_REQUEST, _PAUSE, _SEED = 0.02, 0.05, 1
#: Seconds that are drawn.
_DRAWN = 20


class TooManyRequestsError(Exception):
    """The answer 429, with a Retry-After."""

    category = ErrorCategory.RATE_LIMIT

    def __init__(self, retry_after: float) -> None:
        super().__init__("429 Too Many Requests")
        self.retry_after = retry_after


class Server:
    """Admits so many requests a second, and none before *until*. It notes when each came, and whether it refused it."""

    def __init__(self) -> None:
        self.until: float | None = None
        self.requests: list[tuple[float, bool]] = []
        self._admitted: deque[float] = deque()

    async def request(self) -> None:
        """Answer after some milliseconds; raise where the answer is 429."""
        now = asyncio.get_running_loop().time()
        if self.until is None:
            self.until = now + WAIT
        while self._admitted and self._admitted[0] < now - 0.999:
            self._admitted.popleft()
        wait = max(0.0, self.until - now)
        if len(self._admitted) >= QUOTA:
            wait = max(wait, self._admitted[0] + 1 - now)
        self.requests.append((now, wait > 0))
        await asyncio.sleep(_REQUEST)
        if wait > 0:
            raise TooManyRequestsError(wait)
        self._admitted.append(now)


@dataclass(frozen=True)
class Way:
    """A way to call the server. *wrap* is called once: the workers share what it returns."""

    name: str
    code: str
    wrap: Callable[[Request], Request]
    colour: str
    style: Any = "-"


def _again(request: Request) -> Request:
    return request


def _retry(request: Request) -> Request:
    return retry_on_category(attempts=20)(request)


def _ours(request: Request) -> Request:
    return retry_on_category(attempts=20)(rate_limit("server", f"{QUOTA}/s", burst=1)(request))


OURS = Way(
    "rate_limit", '`@retry_on_category(attempts=20)` around `rate_limit("server", "10/s", burst=1)`', _ours, ACCENT
)
WAYS = (
    Way("again at once", "a loop that calls again after 50 ms", _again, INK, (0, (2, 2))),
    Way("each waits", "`@retry_on_category(attempts=20)`", _retry, "#2b83c6"),
    OURS,
)


@dataclass
class Outcome:
    """The result of one simulation: the requests, and when the last call had succeeded."""

    requests: list[tuple[float, bool]] = field(default_factory=list)
    done: float = 0.0

    @property
    def inside(self) -> int:
        """Requests within the five seconds that the first 429 asked for."""
        return sum(moment < WAIT for moment, _ in self.requests)

    @property
    def refused(self) -> int:
        """Requests that were answered 429."""
        return sum(refused for _, refused in self.requests)

    def by_second(self) -> list[int]:
        """Return the requests of each second that is drawn."""
        return [sum(second <= moment < second + 1 for moment, _ in self.requests) for second in range(_DRAWN)]


def simulate(way: Way) -> Outcome:
    """Have the workers make their calls in *way*."""
    outcome, server = Outcome(), Server()
    run_virtually(_workers(way.wrap(server.request), outcome), _SEED)
    outcome.requests = server.requests
    return outcome


async def _workers(call: Request, outcome: Outcome) -> None:
    loop = asyncio.get_running_loop()

    async def worker(number: int) -> None:
        await asyncio.sleep(number * _PAUSE)
        for _ in range(CALLS):
            while True:
                try:
                    await call()
                    break
                except (TooManyRequestsError, RateLimitedError):
                    await asyncio.sleep(_PAUSE)
        outcome.done = max(outcome.done, loop.time())

    async with asyncio.TaskGroup() as tasks:
        for number in range(WORKERS):
            tasks.create_task(worker(number))


def find(progress: Progress) -> Result:
    """Simulate each way."""
    found = []
    for way in WAYS:
        progress(way.name)
        outcome = simulate(way)
        found.append(
            {
                "name": way.name,
                "code": way.code,
                "inside": outcome.inside,
                "refused": outcome.refused,
                "requests": len(outcome.requests),
                "done": round(outcome.done, 2),
                "by_second": outcome.by_second(),
            }
        )
    return {"workers": WORKERS, "calls": WORKERS * CALLS, "wait": WAIT, "rows": found}


def rows(found: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the requests inside the wait, those that were refused, all of them, and the time until the last call."""
    head = ["", "requests in the 5 s", "answered 429", "requests for 80 calls", "all done after"]
    return head, [
        [
            f"{row['name']}: {row['code']}",
            *(str(row[part]) for part in ("inside", "refused", "requests")),
            f"{row['done']:.1f} s",
        ]
        for row in found["rows"]
    ]


def complaints(found: Result) -> list[str]:
    """Return where ours sends more than one request inside the wait, or is refused afterwards."""
    ours = next(row for row in found["rows"] if row["name"] == OURS.name)
    said = []
    if ours["inside"] != 1:
        said.append(f"rates: ours sends {ours['inside']} requests inside the wait, not 1")
    if ours["refused"] != 1:
        said.append(f"rates: ours is refused {ours['refused']} times, not once")
    return said


def draw(found: Result) -> Figure:
    """Return the figure: the requests of each second on the left, the refused ones on the right."""
    figure = heading(
        "Eight workers after one 429 with Retry-After 5",
        "Each makes ten calls of a server that admits ten requests a second, and none in the first five seconds.",
        {way.name: (way.colour, way.style) for way in WAYS},
    )
    _by_second(panel(figure, 0, "Requests sent", "per second"), found)
    _refused(panel(figure, 1, "Requests answered 429", "until 80 calls have succeeded"), found)
    return figure


def _by_second(axes: Axes, found: Result) -> None:
    axes.axvspan(0, WAIT, color=FAINT, alpha=0.12, linewidth=0)
    for way, row in zip(WAYS, found["rows"], strict=True):
        axes.stairs(row["by_second"], range(_DRAWN + 1), color=way.colour, linestyle=way.style, linewidth=2)
    axes.set_xlim(0, _DRAWN)
    axes.set_yscale("symlog", linthresh=10)
    axes.set_yticks([0, 5, 10, 100], ["0", "5", "10", "100"])
    axes.set_ylim(0, 200)
    axes.set_xlabel("seconds", size=8.5, color=FAINT)


def _refused(axes: Axes, found: Result) -> None:
    refused = [row["refused"] for row in found["rows"]]
    bars = axes.barh(
        [way.name for way in WAYS][::-1], refused[::-1], color=[way.colour for way in WAYS][::-1], height=0.5
    )
    axes.bar_label(bars, padding=4, fontsize=9, color=INK)
    axes.set_xlim(0, 1.15 * max(refused))
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.tick_params(axis="y", labelcolor=INK, pad=4)
    axes.set_position((0.665, 0.115, 0.32, 0.545))


TABLE = Table("rate", "Rates", find, rows, complaints, draw)
