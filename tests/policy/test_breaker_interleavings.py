"""Every way in which three calls through one circuit may overlap, with time passing in between, against invariants.

Each beginning of a program is a program, too: its calls that have not come back are the ones that never do.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import GeneratorType

import pytest

from resilience import circuit_breaker
from resilience.clock import using_clock
from resilience.engine.blocking import perform
from resilience.outcome import Outcome
from resilience.policy.base import Call
from resilience.policy.breaker import Circuit
from resilience.policy.states import HalfOpen, Open
from resilience.testing import VirtualClock

CALLS, TICKS = 3, 2
ENDS = ("succeed", "fail", "cancel")
down = ConnectionResetError("down")
Program = tuple[tuple[str, int], ...]


def programs(done: Program = (), begun: int = 0, out: tuple[int, ...] = (), ticks: int = 0) -> Iterator[Program]:
    """Yield every program; the calls are numbered in the order they begin, since they are all alike."""
    yield done
    if begun < CALLS:
        yield from programs((*done, ("admit", begun)), begun + 1, (*out, begun), ticks)
    for number in out:
        others = tuple(other for other in out if other != number)
        for end in ENDS:
            yield from programs((*done, (end, number)), begun, others, ticks)
    if ticks < TICKS:
        yield from programs((*done, ("tick", 0)), begun, out, ticks + 1)


EVERY = list(programs())


def test_the_explorer_explores_every_interleaving():
    whole = [program for program in EVERY if len(program) == 2 * CALLS + TICKS]
    # 8 steps in any order, of which 2 are ticks and 3 are pairs; the calls are alike; each ends in one of 3 ways.
    assert len(whole) == 40320 // 2**CALLS // 2 // 6 * 3**CALLS == 11340
    assert len(EVERY) == len(set(EVERY)) == 19504


class Explored:
    """A circuit, and what is to be known from outside of the calls on their way through it."""

    def __init__(self, rules: dict[str, object], start: str) -> None:
        self.clock = VirtualClock()
        with using_clock(self.clock):
            breaker = circuit_breaker("explored", failure_threshold=1, **rules)
            getattr(breaker, start)()
            self.breaker = breaker
        self.circuit: Circuit = breaker.circuit
        self.out: dict[int, tuple[Call, object, float]] = {}
        self.let_through_early = 0

    def do(self, step: str, number: int) -> None:
        if step == "tick":
            self.clock.advance(1)
        elif step == "admit":
            self.admit(number)
        elif number in self.out:  # else it was rejected
            self.end(step, number)
        state = self.circuit.state
        if isinstance(state, HalfOpen):
            now, lease = self.clock.now(), self.circuit.rules.lease_seconds
            probes = [began for _, by, began in self.out.values() if by is state and now < began + lease]
            assert len(probes) <= self.circuit.rules.probes
            assert len(probes) <= len(state.permits) <= self.circuit.rules.probes

    def admit(self, number: int) -> None:
        before, now = self.circuit.state, self.clock.now()
        call = Call("explored", len)
        answer = self.circuit.before(call, 0)
        if isinstance(answer, GeneratorType):
            answer = perform(answer)
        if answer is None:
            self.out[number] = (call, self.circuit.state, now)
        if isinstance(before, Open) and now < before.until:
            assert answer is not None
            assert answer.error.retry_after == before.until - now
            assert self.circuit.state is before

    def end(self, step: str, number: int) -> None:
        call, by, _ = self.out.pop(number)
        before, looked = self.circuit.state, looks(self.circuit.state)
        if step == "cancel":
            self.circuit.release(call, 0)
            assert self.circuit.state is before
        else:
            outcome = Outcome("ok") if step == "succeed" else Outcome(None, down)
            assert self.circuit.after(call, 0, outcome) is outcome
        if by is not before:
            assert self.circuit.state is before
            assert looks(before) == looked


def looks(state: object) -> dict[str, object]:
    """Return all that a state holds."""
    names = [name for kind in type(state).__mro__ for name in getattr(kind, "__slots__", ())]
    held = {name: getattr(state, name) for name in names}
    return {name: set(value) if isinstance(value, set) else value for name, value in held.items()}


@pytest.mark.parametrize("start", ["close", "open", "half_open"])
@pytest.mark.parametrize(
    "rules",
    [
        {"reset_timeout": 1},
        {"reset_timeout": 2, "probe_timeout": 1, "probes": 2, "success_threshold": 2},
    ],
    ids=["one probe", "two probes, short lease"],
)
def test_no_interleaving_of_three_calls_breaks_an_invariant(rules: dict[str, object], start: str):
    explored = 0
    for program in EVERY:
        on = Explored(rules, start)
        with using_clock(on.clock):
            for step, number in program:
                on.do(step, number)
            state = on.circuit.state
            if isinstance(state, HalfOpen):  # and nobody who is out ever comes back
                on.clock.advance(on.circuit.rules.lease_seconds)
                on.admit(CALLS)
                assert CALLS in on.out
        explored += 1
    assert explored == len(EVERY) == 19504
