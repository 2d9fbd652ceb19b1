"""Every way in which three calls through one circuit may overlap, with time passing in between, against invariants.

Each beginning of a program is a program, too: its calls that have not come back are the ones that never do.

Explored are 19 504 programs of three calls that succeed, fail or are cancelled, with two ticks of time, from three
states and with three sets of options; and 1 869 of two calls that may also be cut off, by a limit of ours or by a
foreign cancellation, of circuits that know slow calls and of those that do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from resilience import circuit_breaker
from resilience._outcome import Outcome
from resilience._runtime.cut_off import CutOff
from resilience.clock import using_clock
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.circuit_states import CircuitState, Closed, HalfOpen, Open
from resilience.testing import VirtualClock
from tests.manual_call import ManualCall

CALLS, TICKS = 3, 2
ENDS = ("succeed", "fail", "cancel")
CUTS = ("timed_out", "cancelled")
down = ConnectionResetError("down")
Program = tuple[tuple[str, int], ...]


def programs(
    calls: int,
    ends: tuple[str, ...],
    done: Program = (),
    begun: int = 0,
    out: tuple[int, ...] = (),
    ticks: int = 0,
) -> Iterator[Program]:
    """Yield every program; the calls are numbered in the order they begin, since they are all alike."""
    yield done
    if begun < calls:
        yield from programs(calls, ends, (*done, ("admit", begun)), begun + 1, (*out, begun), ticks)
    for number in out:
        others = tuple(other for other in out if other != number)
        for end in ends:
            yield from programs(calls, ends, (*done, (end, number)), begun, others, ticks)
    if ticks < TICKS:
        yield from programs(calls, ends, (*done, ("tick", 0)), begun, out, ticks + 1)


EVERY = list(programs(CALLS, ENDS))
CUT_OFF = list(programs(2, (*ENDS, *CUTS)))


def test_the_explorer_explores_every_interleaving():
    whole = [program for program in EVERY if len(program) == 2 * CALLS + TICKS]
    # 8 steps in any order, of which 2 are ticks and 3 are pairs; the calls are alike; each ends in one of 3 ways.
    assert len(whole) == 40320 // 2**CALLS // 2 // 6 * 3**CALLS == 11340
    assert len(EVERY) == len(set(EVERY)) == 19504
    assert len(CUT_OFF) == len(set(CUT_OFF)) == 1869


class Explored:
    """A circuit, and the calls in flight through it, as a test sees them from outside."""

    def __init__(self, rules: dict[str, object], start: str) -> None:
        self.clock = VirtualClock()
        with using_clock(self.clock):
            breaker = circuit_breaker("explored", failure_threshold=1, **rules)
            getattr(breaker, start)()
            self.breaker = breaker
        self.circuit: CircuitBreakerPolicy = breaker.circuit
        self.out: dict[int, tuple[ManualCall, object, float]] = {}
        self.probes: set[int] = set()  # those out since it was last closed

    def do(self, step: str, number: int) -> None:
        if step == "tick":
            self.clock.advance(1)
        elif step == "admit":
            self.admit(number)
        elif number in self.out:  # else it was rejected
            self.end(step, number)
        state = self.circuit.state
        if isinstance(state, Closed):
            self.probes.clear()
        else:
            now, lease = self.clock.now(), self.circuit.config.lease_seconds
            probes = [number for number in self.probes & self.out.keys() if now < self.out[number][2] + lease]
            assert len(probes) <= len(state.permits) <= self.circuit.config.probes

    def admit(self, number: int) -> None:
        before, now = self.circuit.state, self.clock.now()
        call = ManualCall(self.circuit)
        if call.rejection is None:
            self.out[number] = (call, self.circuit.state, now)
            if isinstance(self.circuit.state, HalfOpen):
                self.probes.add(number)
        if isinstance(before, Open) and now < before.until:
            assert call.rejection is not None
            assert call.rejection.retry_after == before.until - now
            assert self.circuit.state is before

    def end(self, step: str, number: int) -> None:
        call, by, began = self.out.pop(number)
        permit = call.admitted if isinstance(by, HalfOpen) else None
        before, looked = self.circuit.state, looks(self.circuit.state, without=permit)
        if step == "cancel":
            call.cancel()
            assert self.circuit.state is before
        elif step in CUTS:
            decides = by is before and (permit is None or permit in before.permits)  # else its lease was over
            call.cut_off(CutOff(step))
            slow = self.clock.now() - began >= self.circuit.config.slow_seconds
            if step == "cancelled" and not slow:
                assert self.circuit.state is before
            elif decides:  # a threshold of one failure, and of one slow call
                assert isinstance(self.circuit.state, Open)
        else:
            outcome = Outcome("ok") if step == "succeed" else Outcome(None, down)
            assert call.end(outcome) is outcome
        if by is not before:
            assert self.circuit.state is before
            assert looks(before) == looked  # but for its permit, which may have counted against a later probe
            assert permit is None or permit not in looks(before).get("permits", ())


def looks(state: object, without: object = None) -> dict[str, object]:
    """Return all that a state holds; of its permits those that are not *without*."""
    names = [name for kind in type(state).__mro__ for name in getattr(kind, "__slots__", ())]
    held = {name: getattr(state, name) for name in names}
    return {name: value - {without} if isinstance(value, set) else value for name, value in held.items()}


@pytest.mark.slow  # half a million steps, which no interpreter takes in another way
@pytest.mark.parametrize("start", ["close", "open", "half_open"])
@pytest.mark.parametrize(
    "rules",
    [
        {"reset_timeout": 1},
        {"reset_timeout": 2, "probe_timeout": 1, "probes": 2, "success_threshold": 2},
        {"reset_timeout": 1, "probe_timeout": 2, "probes": 2, "success_threshold": 2},
    ],
    ids=["one probe", "two probes, short lease", "two probes, long lease"],
)
def test_no_interleaving_of_three_calls_breaks_an_invariant(rules: dict[str, object], start: str):
    explored = 0
    for program in EVERY:
        on = Explored(rules, start)
        with using_clock(on.clock):
            for step, number in program:
                on.do(step, number)
            state = on.circuit.state
            if isinstance(state, HalfOpen):  # and no probe in flight ever ends
                on.clock.advance(on.circuit.config.lease_seconds)
                on.admit(CALLS)
                assert CALLS in on.out
        explored += 1
    assert explored == len(EVERY) == 19504


@pytest.mark.parametrize("start", ["close", "open", "half_open"])
@pytest.mark.parametrize(
    "rules",
    [
        {"reset_timeout": 1},
        {"reset_timeout": 1, "slow_call_rate": 0.1, "slow_call_seconds": 1, "minimum_calls": 1},
        {
            "reset_timeout": 2,
            "probes": 2,
            "probe_timeout": 1,
            "slow_call_rate": 0.1,
            "slow_call_seconds": 2,
            "minimum_calls": 1,
        },
    ],
    ids=["no slow calls", "slow after a tick", "two probes, slow after two ticks"],
)
def test_no_interleaving_of_two_calls_that_may_be_cut_off_breaks_an_invariant(rules: dict[str, object], start: str):
    for program in CUT_OFF:
        on = Explored(rules, start)
        with using_clock(on.clock):
            for step, number in program:
                on.do(step, number)


class Door:
    """A circuit's lock, at whose door *another* is faster, once."""

    def __init__(self, circuit: CircuitBreakerPolicy, another: Callable[[], object]) -> None:
        self.lock, self.another = circuit._lock, another
        circuit._lock = self

    def __enter__(self) -> None:
        another, self.another = self.another, lambda: None
        another()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_a_call_that_another_probe_overtakes_is_not_admitted_as_a_probe():
    with using_clock(clock := VirtualClock()):
        circuit = circuit_breaker("overtaken", reset_timeout=1).circuit
        circuit.transition_to(CircuitState.OPEN, clock)
        clock.advance(1)
        others = []
        Door(circuit, lambda: others.append(circuit.acquire(clock)[0]))
        assert circuit.acquire(clock) == (None, None)
    assert circuit.state.permits == set(others)
    assert len(others) == 1


@pytest.mark.parametrize("start", [CircuitState.OPEN, CircuitState.HALF_OPEN])
def test_a_call_that_a_reset_overtakes_is_admitted_as_by_a_closed_circuit(start: CircuitState):
    with using_clock(clock := VirtualClock()):
        circuit = circuit_breaker("overtaken", reset_timeout=1).circuit
        circuit.transition_to(start, clock)
        Door(circuit, lambda: circuit.transition_to(CircuitState.CLOSED, clock))
        admitted, transition = circuit.acquire(clock)
    assert (admitted, transition) == (circuit.state, None)
    assert circuit.state.fast_path


@pytest.mark.parametrize("end", ENDS)
def test_a_probe_that_ends_while_the_circuit_is_closed_by_hand_comes_late(end: str):
    with using_clock(clock := VirtualClock()):
        on = Explored({"reset_timeout": 1}, "half_open")
        on.do("admit", 0)
        Door(on.circuit, lambda: on.circuit.transition_to(CircuitState.CLOSED, clock))
        (call, _, _) = on.out.pop(0)
        if end == "cancel":
            call.cancel()
        else:
            call.end(Outcome("ok") if end == "succeed" else Outcome(None, down))
    assert (on.circuit.state.kind, on.circuit.state.failures) == (CircuitState.CLOSED, 0)
