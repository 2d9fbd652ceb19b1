"""Throttles before a dependency that fails for half a minute or is overloaded.

Real throttles, in virtual time, seeded, at 100 calls per second. *Outage*: half a minute in which nothing is accepted,
and how many seconds later nine of ten calls of a second succeed again. *Overload*: the dependency accepts 20 or 60
requests per second, and has to reject the others. *Background*: 2 % are not accepted. Beside them stands the law by
itself, as the book has it: without the request that goes through each second, and nothing is forgotten after an outage.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from matplotlib.figure import Figure

from benchmarks.load.picture import ACCENT, FAINT, INK, heading, panel
from benchmarks.load.table import Progress, Result, Table
from resilience import ErrorCategory, ThrottledError, throttle
from resilience.clock import current_clock
from resilience.testing import VirtualClock, virtual_time

__all__ = ["TABLE", "THROTTLES", "complaints", "find", "rows"]

Document: TypeAlias = dict[str, dict[str, Any]]
Request: TypeAlias = Callable[[], None]
#: A request whose dependency accepts a share of what is made, and so many requests per second.
Second: TypeAlias = tuple[float, float]

OURS = "throttle(k=2)"
_RATE, _HEALTHY, _OUTAGE, _AFTER, _STEADY = 100, 60, 30, 180, 120
_SEED = 1
_RECOVERED = 0.9
_LATEST_RECOVERY, _LEAST_SERVED, _MAX_SHED = 10.0, 0.95, 0.002


class NotAcceptedError(Exception):
    """The dependency is overloaded."""

    category = ErrorCategory.UNAVAILABLE


class _RejectedError(Exception):
    """The law by itself rejects a request."""


def _unguarded(request: Request) -> Request:
    return request


def _literal(request: Request) -> Request:
    """Guard *request* by the law alone, over 30 seconds of the virtual clock."""
    outcomes: list[tuple[float, bool]] = []

    def guarded() -> None:
        clock = current_clock()
        while outcomes and outcomes[0][0] <= clock.now() - 30:
            outcomes.pop(0)
        accepts = sum(accepted for _, accepted in outcomes)
        share = max(0.0, (len(outcomes) - 2 * accepts) / (len(outcomes) + 1))
        if clock.random() < share:
            outcomes.append((clock.now(), False))
            raise _RejectedError
        try:
            request()
        except NotAcceptedError:
            outcomes.append((clock.now(), False))
            raise
        outcomes.append((clock.now(), True))

    return guarded


THROTTLES: Final[Mapping[str, Callable[[Request], Request]]] = {
    "none": _unguarded,
    "the law alone, k=2": _literal,
    OURS: lambda request: throttle("simulated")(request),
    "throttle(k=1.3)": lambda request: throttle("simulated", k=1.3)(request),
}


class Dependency:
    """Accepts a share of its requests, and no more than its capacity each second; counts what it gets."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.share = 1.0
        self.left = math.inf
        self.requests = self.accepted = 0

    def begin(self, second: Second) -> None:
        self.share, self.left = second
        self.requests = self.accepted = 0

    def __call__(self) -> None:
        self.requests += 1
        self.left -= 1
        if self.left < 0 or self.chance.random() >= self.share:
            raise NotAcceptedError
        self.accepted += 1


def _play(guard: Callable[[Request], Request], seconds: Iterable[Second]) -> list[tuple[int, int]]:
    """Return for each of *seconds* how many requests the dependency got, and how many it accepted."""
    dependency = Dependency(random.Random(_SEED))
    guarded, found = guard(dependency), []
    with virtual_time(seed=_SEED) as clock:
        for second in seconds:
            dependency.begin(second)
            for _ in range(_RATE):
                _call(guarded, clock)
            found.append((dependency.requests, dependency.accepted))
    return found


def _call(guarded: Request, clock: VirtualClock) -> None:
    clock.advance(1 / _RATE)
    try:
        guarded()
    except (NotAcceptedError, ThrottledError, _RejectedError):
        pass  # counted by the dependency, or not made


def find(progress: Progress = lambda _: None) -> Document:
    """Run all simulations; *progress* hears of which."""
    document: Document = {}
    for name, guard in THROTTLES.items():
        progress(name)
        document[name] = {**_around_outage(guard), **_overload(guard, 20), **_overload(guard, 60)}
        drawn = _play(guard, [*[(1.0, math.inf)] * 30, *[(1.0, 20.0)] * 90])
        document[name]["overload seconds"] = [requests for requests, _ in drawn]
        background = _play(guard, [(0.98, math.inf)] * _STEADY)
        document[name]["shed"] = 1 - sum(requests for requests, _ in background) / (_RATE * _STEADY)
    return document


def _around_outage(guard: Callable[[Request], Request]) -> dict[str, Any]:
    """Return how many seconds after an outage a second ends in which nine of ten calls succeed; infinity: never."""
    phases = [(1.0, math.inf)] * _HEALTHY, [(0.0, math.inf)] * _OUTAGE, [(1.0, math.inf)] * _AFTER
    accepted = [accepted for _, accepted in _play(guard, itertools.chain(*phases))]
    after = accepted[_HEALTHY + _OUTAGE :]
    ended = (second for second, number in enumerate(after, 1) if number >= _RECOVERED * _RATE)
    return {"recovery": float(next(ended, math.inf)), "outage seconds": accepted}


def _overload(guard: Callable[[Request], Request], capacity: int) -> dict[str, float]:
    """Return of a dependency of that capacity the share of it that is used, and the requests for each accepted one."""
    steady = _play(guard, [(1.0, float(capacity))] * (_HEALTHY + _STEADY))[_HEALTHY:]
    accepted = sum(accepted for _, accepted in steady)
    return {
        f"served at {capacity}/s": accepted / (capacity * _STEADY),
        f"requests at {capacity}/s": sum(requests for requests, _ in steady) / max(accepted, 1),
    }


def rows(document: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return head and rows of the table."""
    head = ["throttle", "back after an outage", "capacity used at 20/s", "requests per accepted", "at 60/s", "requests"]
    return [*head, "shed at 2%"], [[name, *_cells(document[name])] for name in THROTTLES]


def _cells(found: Mapping[str, float]) -> Sequence[str]:
    used = [f"{found[f'{what} at {capacity}/s']:.2f}" for capacity in (20, 60) for what in ("served", "requests")]
    return [f"{found['recovery']:g} s", *used, f"{found['shed']:.2%}"]


def complaints(document: Result) -> Sequence[str]:
    """Return what the throttle does worse than it must: nothing, if all is well."""
    found, bad = document[OURS], []
    if found["recovery"] > _LATEST_RECOVERY:
        bad.append(f"after an outage: back in {found['recovery']:g} s, later than {_LATEST_RECOVERY:g}")
    if found["served at 60/s"] < _LEAST_SERVED:
        bad.append(f"overload: {found['served at 60/s']:.3f} of the capacity is used, less than {_LEAST_SERVED:g}")
    if found["shed"] > _MAX_SHED:
        bad.append(f"background: {found['shed']:.4f} is shed, more than {_MAX_SHED:g}")
    return bad


# -- the picture ------------------------------------------------------------------------------------------------------

_COLOURS: Final[Mapping[str, tuple[str, str]]] = {
    "none": (INK, ":"),
    "the law alone, k=2": ("#e08214", "-"),
    "throttle(k=1.3)": ("#2b83c6", "-"),
    OURS: (ACCENT, "-"),
}
_DRAWN = 240  # seconds


def draw(document: Result) -> Figure:
    """Return the figure: what succeeds around an outage, and what an overloaded dependency gets."""
    figure = heading(
        "Throttles, at 100 calls a second", "An outage of half a minute, and a dependency that does 20.", _COLOURS
    )
    outage = panel(figure, 0, "Nothing is accepted from the 60th to the 90th second", "calls that succeed, per second")
    overload = panel(figure, 1, "It accepts 20 a second from the 30th second on", "requests that it gets, per second")
    for name, (colour, style) in _COLOURS.items():
        outage.plot(document[name]["outage seconds"][:_DRAWN], color=colour, linestyle=style)
        overload.plot(document[name]["overload seconds"], color=colour, linestyle=style)
    for axes in (outage, overload):
        axes.set_ylim(0, 1.08 * _RATE)
        axes.set_xlabel("seconds", size=8.5, color=FAINT)
    return figure


TABLE = Table("throttle", "Throttles", find, rows, complaints, draw)
