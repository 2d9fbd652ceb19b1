"""Every way in which three calls through one circuit may overlap, with time passing in between, against invariants.

Each beginning of a program is a program, too: its calls that have not come back are the ones that never do.

Explored are 19 504 programs of three calls that succeed, fail or are cancelled, with two ticks of time, from three
states and with three sets of options; and 1 869 of two calls that may also be cut off, by a limit of ours or by a
foreign cancellation, of circuits that know slow calls and of those that do not.

Calls that stand in each other go through two circuits, each of which is closed, half-open or ramping up at first. Their
programs are played to the model of `tests.circuit_model`, which predicts every answer, event and number after each
step: 4 320 of three calls, each in the one before, in every order of their ends and through every choice of circuits;
and 945 of two calls that each call through the circuit of the other. The deep run has 87 480 programs of three calls
that stand in each other in any of six ways, or are cancelled; 30 240 in which time passes; 12 960 of blocks, suspended
generators and permits by hand; and 45 360 of two that cross and may fail.
"""

from __future__ import annotations

import itertools
import os.path
from collections.abc import Callable, Iterator

import pytest

from resilience import circuit_breaker
from resilience._outcome import Outcome
from resilience._runtime.cut_off import CutOff
from resilience.clock import using_clock
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.circuit_states import CircuitState, Closed, HalfOpen, Open
from resilience.testing import VirtualClock
from tests.circuit_faults import FAULTS_OF_NESTING
from tests.circuit_model import Config, Held, Player, Step
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
            self.breaker = circuit_breaker("explored", failure_threshold=1, **rules)
        self.circuit: CircuitBreakerPolicy = self.breaker.circuit
        self.start = start
        self.out: dict[int, tuple[ManualCall, object, float]] = {}
        self.probes: set[int] = set()  # those out since it was last closed

    def start_again(self) -> None:
        """Reset the circuit for another program, which takes less time than making one."""
        self.breaker.reset()
        getattr(self.breaker, self.start)()
        self.out.clear()
        self.probes.clear()

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
    on = Explored(rules, start)
    with using_clock(on.clock):
        for program in EVERY:
            on.start_again()
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
    on = Explored(rules, start)
    with using_clock(on.clock):
        for program in CUT_OFF:
            on.start_again()
            for step, number in program:
                on.do(step, number)


# -- calls that stand in each other, through two circuits --------------------------------------------------------------

WITHIN_ANOTHER = Config(failure_threshold=1, reset_timeout=2.0, ramp_up=8.0)
STARTS = ("closed", "half-open", "ramp")
CHAIN, CROSSING = (None, 0, 1), (None, 0, None, 2)
"""For each call the one it begins in: three deep, and two of which each calls another."""
SHAPES = [*itertools.product((None,), (None, 0), (None, 0, 1))]
"""Every way in which three calls may stand in each other."""
Parents = tuple[int | None, ...]


def nested(parents: Parents, ends: tuple[str, ...], ticks: int = 0, done: Program = ()) -> Iterator[Program]:
    """Yield every whole program of calls that begin in those *parents*, and end in any order: also a parent first."""
    calls = range(len(parents))
    begun = {number for step, number in done if step == "begin"}
    ended = {number for step, number in done if step in ends}
    if len(done) == 2 * len(parents) + ticks:
        yield done
        return
    possible = [("begin", call) for call in calls if call not in begun and parents[call] in (None, *begun)]
    if parents != CROSSING:
        possible = possible[:1]  # of every shape, so that another order is another shape
    possible += [(end, call) for call in sorted(begun - ended) for end in ends]
    if done.count(("tick", 0)) < ticks:
        possible.append(("tick", 0))
    for step in possible:
        yield from nested(parents, ends, ticks, (*done, step))


def play_nested(
    player: Player,
    program: Program,
    parents: Parents,
    circuits: tuple[int, ...],
    starts: tuple[str, ...],
    way: str = "policy",
    compared: int = 0,
) -> None:
    """Play *program*, whose first steps another one has *compared*."""
    player.start_again()
    begun: dict[int, Held] = {}

    def begin(call: int) -> None:
        parent, context, around = parents[call], None, []
        if parent is not None:
            if parent not in begun:
                return  # it was rejected, and so calls nothing
            context, around = begun[parent].made.context, begun[parent].around
            if parent != call - 1:  # it has called another one, in its own context
                context, around = context.copy(), list(around)
        held = player.begin_in(context, around, Step("begin", circuit=circuits[call], way=way))
        if held is not None:
            begun[call] = held

    with player.playing():
        for circuit, start in enumerate(starts):
            if start != "closed":
                player.order(Step("order", what="half_open", circuit=circuit))
            if start == "ramp":
                player.call(Step("call", what="ok", circuit=circuit))
        player.wait(Step("wait", seconds=0.5))
        for number, (step, call) in enumerate(program):
            if step == "begin":
                begin(call)
            elif step == "tick":
                player.wait(Step("wait", seconds=2.0))
            elif call in begun:
                if step == "cancel":
                    player.cancel_held(begun[call], Step("cancel"))
                else:
                    player.end_held(begun[call], Step("end", what={"succeed": "ok", "fail": "network"}[step]))
            if number >= compared:
                player.compare()


def crossed(calls: int) -> list[tuple[int, ...]]:
    """Return every way in which calls go through two circuits, the first through the first."""
    return [*itertools.product((0,), *[(0, 1)] * (calls - 1))]


def explore(
    parents: Parents, ends: tuple[str, ...], starts: tuple[str, str], ticks: int = 0, way: str = "policy"
) -> int:
    """Play every program of those calls, through every choice of circuits; return how many there are.

    Of calls that cross, one that begins with the second is that of the other order of *starts*, its circuits exchanged.
    """
    ways = [(0, 1, 1, 0)] if parents == CROSSING else crossed(len(parents))
    programs = list(nested(parents, ends, ticks))
    if parents == CROSSING and starts[0] == starts[1]:
        programs = [program for program in programs if program[0] == ("begin", 0)]
    player = Player(WITHIN_ANOTHER, WITHIN_ANOTHER)
    for circuits in ways:
        before: Program = ()
        for program in programs:
            compared = len(os.path.commonprefix([before, program]))
            play_nested(player, program, parents, circuits, starts, way, compared)
            before = program
    return len(programs) * len(ways)


BOTH = [*itertools.product(STARTS, STARTS)]
UNORDERED = [*itertools.combinations_with_replacement(STARTS, 2)]


@pytest.mark.parametrize("starts", BOTH, ids=" and ".join)
def test_three_calls_in_each_other_go_as_the_model_predicts(starts: tuple[str, str]):
    assert explore(CHAIN, ("succeed", "fail"), starts) == 480


@pytest.mark.parametrize("starts", [("half-open", "half-open"), ("half-open", "ramp")], ids=" and ".join)
def test_two_calls_that_each_call_through_the_circuit_of_the_other_go_as_the_model_predicts(starts: tuple[str, str]):
    assert explore(CROSSING, ("succeed",), starts) == (315 if starts[0] == starts[1] else 630)


@pytest.mark.slow
@pytest.mark.parametrize("starts", BOTH, ids=" and ".join)
@pytest.mark.parametrize("parents", SHAPES, ids=str)
def test_three_calls_in_each_other_in_any_way_go_as_the_model_predicts(parents: Parents, starts: tuple[str, str]):
    assert explore(parents, ENDS, starts) == 1620


@pytest.mark.slow
@pytest.mark.parametrize("starts", BOTH, ids=" and ".join)
@pytest.mark.parametrize("way", ["block", "stream", "permit"])
def test_blocks_streams_and_permits_in_each_other_go_as_the_model_predicts(way: str, starts: tuple[str, str]):
    assert explore(CHAIN, ("succeed", "fail"), starts, way=way) == 480


@pytest.mark.slow
@pytest.mark.parametrize("starts", BOTH, ids=" and ".join)
def test_leases_may_end_under_calls_in_each_other(starts: tuple[str, str]):
    assert explore(CHAIN, ("succeed", "fail"), starts, ticks=1) == 3360


@pytest.mark.slow
@pytest.mark.parametrize("starts", UNORDERED, ids=" and ".join)
def test_two_calls_that_cross_and_may_fail_go_as_the_model_predicts(starts: tuple[str, str]):
    assert explore(CROSSING, ("succeed", "fail"), starts) == (5040 if starts[0] == starts[1] else 10080)


@pytest.mark.slow  # about the model, not the circuit: once is enough
@pytest.mark.parametrize("fault", FAULTS_OF_NESTING)
def test_the_explorer_finds_each_fault_of_calls_in_each_other(fault: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(*FAULTS_OF_NESTING[fault])
    for ticks, starts in itertools.product((0, 1), BOTH):
        try:
            explore(CHAIN, ("succeed", "fail"), starts, ticks)
        except AssertionError:
            return
    raise AssertionError("the explorer has not found it")


# -- calls that another thread overtakes -------------------------------------------------------------------------------


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
