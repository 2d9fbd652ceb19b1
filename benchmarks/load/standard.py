"""The standard stack with the circuit that it has, and with a partial one, while a part of the calls fails.

Real stacks, in virtual time, seeded, at 20 and 100 calls per second: three attempts with a budget, and no time limits,
as nothing hangs here. *Steady*: three minutes of failures at random, after half a minute of 1 %; the share of the calls
that are answered, and the requests that each takes. *Outage*: half a minute in which all fail, and how many seconds
later 90 % of the calls of a second succeed again.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from benchmarks.load.table import Progress, Result, Table
from resilience import CircuitOpenError, circuit_breaker, standard
from resilience.testing import VirtualClock, virtual_time

__all__ = ["STACKS", "TABLE", "complaints", "find", "play", "rows"]

#: A second: the calls that were answered, and the requests that were made.
Second: TypeAlias = tuple[int, int]

OURS, PARTIAL = "standard", "with a partial circuit"
_names = (f"simulated {number}" for number in itertools.count())


def _standard(**options: Any) -> standard:
    return standard(next(_names), timeout=None, deadline=None, limit=None, **options)


STACKS: Final[Mapping[str, Callable[[], standard]]] = {
    OURS: _standard,
    PARTIAL: lambda: _standard(circuit=circuit_breaker(next(_names), partial=True)),
}
CODES: Final[Mapping[str, str]] = {
    OURS: '`standard("dependency")`',
    PARTIAL: '`standard("dependency", circuit=circuit_breaker("dependency", partial=True))`',
}

_RATES = (20, 100)
_FAILING = (0.02, 0.1, 0.2, 0.3, 0.4, 0.6)
_HEALTHY, _STEADY, _OUTAGE, _AFTER = 30, 180, 30, 90
_SEED = 1
_RECOVERED = 0.9


def play(make: Callable[[], standard], rate: int, phases: Sequence[tuple[int, float]]) -> list[Second]:
    """Play phases of so many seconds, in each of which a share of the requests fails; return the seconds."""
    chance, failing, requests, found = random.Random(_SEED), 0.0, 0, []
    with virtual_time(seed=_SEED) as clock:

        @make()
        def dependency() -> None:
            nonlocal requests
            requests += 1
            if chance.random() < failing:
                raise ConnectionResetError

        for seconds, failing in phases:  # noqa: B007  # the function reads it
            for _ in range(seconds):
                requests = 0
                answered = sum(_is_answered(dependency, clock, rate) for _ in range(rate))
                found.append((answered, requests))
    return found


def _is_answered(call: Callable[[], None], clock: VirtualClock, rate: int) -> bool:
    try:
        call()
    except (ConnectionResetError, CircuitOpenError):
        return False
    finally:
        clock.advance(1 / rate)
    return True


def find(progress: Progress = lambda _: None) -> Result:
    """Run all simulations."""
    found = []
    for (name, make), rate in itertools.product(STACKS.items(), _RATES):
        progress(f"{name}, {rate} calls per second")
        steady = [_steady(make, rate, failing) for failing in _FAILING]
        after = play(make, rate, [(_HEALTHY, 0.01), (_OUTAGE, 1.0), (_AFTER, 0.01)])[_HEALTHY + _OUTAGE :]
        back = next((second for second, each in enumerate(after, 1) if each[0] >= _RECOVERED * rate), math.inf)
        found.append({"name": name, "code": CODES[name], "rate": rate, "steady": steady, "back": back})
    return {"rows": found}


def _steady(make: Callable[[], standard], rate: int, failing: float) -> dict[str, float]:
    seconds = play(make, rate, [(_HEALTHY, 0.01), (_STEADY, failing)])[_HEALTHY:]
    answered, requests = (sum(column) / (rate * _STEADY) for column in zip(*seconds, strict=True))
    return {"failing": failing, "answered": round(answered, 4), "requests": round(requests, 3)}


def rows(found: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return head and rows: what is answered, and the requests per call."""
    head = ["stack", "calls/s", *(f"{failing:.0%} fail" for failing in _FAILING), "back after an outage"]
    return head, [
        [
            f"{row['name']}: {row['code']}",
            f"{row['rate']}",
            *(f"{each['answered']:.0%}, {each['requests']:.2f}" for each in row["steady"]),
            f"{row['back']:g} s",
        ]
        for row in found["rows"]
    ]


def complaints(found: Result) -> Sequence[str]:
    """Return where the stack as it comes answers fewer calls than with a partial circuit, while less than half fail."""
    of_stack = {
        name: [each["answered"] for row in found["rows"] if row["name"] == name for each in row["steady"]]
        for name in STACKS
    }
    failing = [each["failing"] for row in found["rows"] if row["name"] == OURS for each in row["steady"]]
    return [
        f"standard: of {share:.0%} failures {ours:.3f} are answered, and {partial:.3f} with a partial circuit"
        for share, ours, partial in zip(failing, of_stack[OURS], of_stack[PARTIAL], strict=True)
        if share < 0.5 and ours < partial - 0.005
    ]


TABLE = Table("standard", "The standard stack", find, rows, complaints)
