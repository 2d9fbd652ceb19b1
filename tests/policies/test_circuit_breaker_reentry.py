"""A thread that holds a circuit's lock is interrupted by the garbage collector, which closes a stream, or by a signal.

The destructor or the handler runs in the same thread. It makes or ends calls of the same circuit, or changes its state.
"""

from __future__ import annotations

import gc
import itertools
import signal
import threading

import pytest

from resilience import circuit_breaker
from resilience._outcome import Outcome
from resilience.clock import using_clock
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.circuit_states import CircuitMode, CircuitState, Closed, HalfOpen, Transition
from resilience.testing import VirtualClock
from tests.manual_call import ManualCall

STUCK = 30  # seconds; never reached
down = ConnectionResetError("down")
C, O, H = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN  # noqa: E741  # as in a drawing of the states


class Interrupting(VirtualClock):
    """Virtual time; when it is looked at for the *left*-th time, *interrupt* runs."""

    left = 0

    def interrupt(self) -> None: ...

    def look(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.interrupt()

    def now(self) -> float:
        self.look()
        return super().now()

    def wall(self) -> float:
        self.look()
        return super().wall()

    def random(self) -> float:
        self.look()
        return 0.5


class Interrupted:
    """A circuit with a call in flight, and its transitions."""

    def __init__(self, start: str, rules: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
        self.transitions: list[Transition] = []
        move = CircuitBreakerPolicy._transition

        def moved(circuit, state, clock, seen=None, mode=None):
            transition = move(circuit, state, clock, seen, mode)
            if transition is not None:
                self.transitions.append(transition)
            return transition

        monkeypatch.setattr(CircuitBreakerPolicy, "_transition", moved)
        self.clock = Interrupting()
        self.out: ManualCall | None = None
        with using_clock(self.clock):
            self.breaker = circuit_breaker(
                "b", failure_threshold=2, reset_timeout=10, probe_timeout=50, probes=2, **rules
            )
            self.circuit = self.breaker.circuit
            self.call("fail")
            if start != "closed":
                self.breaker.open()
                self.clock.advance(10)
            if start != "due":
                self.out = self.begin()
            self.clock.advance(5)

    def begin(self) -> ManualCall | None:
        call = ManualCall(self.circuit)
        return call if call.rejection is None else None

    def end(self, call: ManualCall, how: str) -> None:
        if how == "cancel":
            call.cancel()
        else:
            call.end(Outcome(None, down) if how == "fail" else Outcome("ok"))

    def call(self, how: str) -> None:
        call = self.begin()
        if call is not None:
            self.end(call, how)

    def do(self, what: str) -> None:
        if what in ("succeed", "fail", "cancel"):
            self.call(what)
        elif what.startswith("end"):
            out, self.out = self.out, None
            if out is not None:
                self.end(out, what.removeprefix("end: "))
        else:
            getattr(self.breaker, what)()


ORDERS = ("open", "close", "half_open", "isolate", "disable", "shadow", "reset")
DOINGS = ("succeed", "fail", "cancel", "end: succeed", "end: fail", "end: cancel", *ORDERS)


@pytest.mark.parametrize("start", ["closed", "due", "half-open"])
@pytest.mark.parametrize(
    "rules",
    [{}, {"slow_call_rate": 0.5, "slow_call_seconds": 1, "minimum_calls": 1, "ramp_up": 3}],
    ids=["in a row", "slow calls"],
)
def test_whatever_interrupts_a_transition_states_follow_one_another(
    start: str, rules: dict[str, object], monkeypatch: pytest.MonkeyPatch
):
    interrupted = 0
    for doing, meanwhile in itertools.product(DOINGS, DOINGS):
        for look in itertools.count(1):
            with monkeypatch.context() as patch:
                on = Interrupted(start, rules, patch)
                with using_clock(on.clock):
                    on.clock.interrupt, on.clock.left = lambda on=on: on.do(meanwhile), look
                    on.do(doing)
                    if on.clock.left > 0:
                        break  # the clock is not looked at so often
                    interrupted += 1
                    check(on, by_hand=doing in ORDERS or meanwhile in ORDERS)
    assert interrupted > 150


def check(on: Interrupted, *, by_hand: bool) -> None:
    for (_, after), (before, _) in itertools.pairwise(on.transitions):
        assert before is after or (isinstance(before, Closed) and isinstance(after, Closed))  # a new start
    kinds = [(before.kind, after.kind) for before, after in on.transitions]
    if not by_hand:
        assert set(kinds) <= {(C, O), (O, H), (H, O), (H, C)}
    state = on.circuit.state
    if isinstance(state, HalfOpen):
        assert len(state.permits) <= (on.out is not None)  # the others have come back
    # And it works: open for as long as it says, and then well again.
    if on.breaker.mode is not CircuitMode.NORMAL:
        on.breaker.reset()
    on.clock.advance(100)
    for _ in range(2):
        call = on.begin()
        assert call is not None
        on.end(call, "succeed")
        on.clock.advance(3)
    assert on.breaker.current_state == "closed"


@pytest.mark.parametrize("start", ["closed", "due", "half-open"])
@pytest.mark.parametrize(("order", "kind"), [("open", O), ("close", C), ("half_open", H)])
def test_a_transition_by_hand_that_calls_interrupt_is_carried_out(
    start: str, order: str, kind: CircuitState, monkeypatch: pytest.MonkeyPatch
):
    for meanwhile in ("succeed", "fail", "end: succeed", "end: fail"):
        for look in itertools.count(1):
            with monkeypatch.context() as patch:
                on = Interrupted(start, {}, patch)
                with using_clock(on.clock):
                    on.clock.interrupt, on.clock.left = lambda on=on: on.do(meanwhile), look
                    on.do(order)
            assert on.circuit.state.kind is kind
            if on.clock.left > 0:
                break


@pytest.mark.parametrize(("meanwhile", "passes"), [("succeed", True), ("fail", False), ("cancel", True)])
def test_a_call_that_another_probe_interrupts_is_admitted_by_the_state_after_it(
    meanwhile: str, passes: bool, monkeypatch: pytest.MonkeyPatch
):
    on = Interrupted("due", {}, monkeypatch)
    wall = on.clock.wall

    def moving() -> float:  # it is about to be half-open
        monkeypatch.setattr(on.clock, "wall", wall)
        on.do(meanwhile)
        return wall()

    monkeypatch.setattr(on.clock, "wall", moving)
    with using_clock(on.clock):
        call = on.begin()
        assert (call is not None) == passes
        state = on.circuit.state
        if passes:
            assert call.admitted in ([state] if meanwhile == "succeed" else state.permits)
            on.end(call, "succeed")
            assert on.breaker.current_state == "closed"
        else:
            assert state.kind is O


@pytest.mark.parametrize("doing", ["fail", "succeed"])
def test_two_calls_of_which_one_interrupts_the_other_open_it_once(doing: str, monkeypatch: pytest.MonkeyPatch):
    """The failure that is interrupted by one that opens the circuit comes late."""
    on = Interrupted("closed", {"slow_call_rate": 0.5, "slow_call_seconds": 1, "minimum_calls": 1}, monkeypatch)
    on.transitions.clear()
    with using_clock(on.clock):
        on.clock.interrupt, on.clock.left = lambda: on.do("fail"), 2  # the first look is at when it ended
        on.do(f"end: {doing}")
    ((_, opened),) = on.transitions
    assert on.circuit.state is opened


def test_a_stream_that_is_collected_during_an_admission_gives_its_permit_back():
    class Collecting(VirtualClock):
        def now(self) -> float:
            gc.collect()
            return super().now()

    with using_clock(VirtualClock()):
        breaker = circuit_breaker("b", reset_timeout=30)
    answers: list[object] = []

    @breaker
    def stream(me: list[object]):
        yield len(me)

    def main() -> None:
        clock = VirtualClock()
        with using_clock(clock):
            breaker.half_open()
            me: list[object] = []
            me.append(stream(me))  # nothing but the collector frees it
            next(me[0])
            answers.append(breaker.probes_in_flight)
            del me
        with using_clock(Collecting()), breaker:
            answers.append(breaker.current_state)

    thread = threading.Thread(target=main, daemon=True)
    gc.disable()
    try:
        thread.start()
        thread.join(STUCK)
    finally:
        gc.enable()
    assert not thread.is_alive(), "it waits for a lock that it holds"
    assert answers == [1, "closed"]  # what was asked of the stream came: it is a success


def test_a_handler_of_a_signal_may_call_while_the_lock_is_held():
    breaker = circuit_breaker("b", failure_threshold=3)
    called: list[str] = []

    def handle(number: int, frame: object) -> None:
        with breaker:
            called.append(breaker.current_state)

    before = signal.signal(signal.SIGINT, handle)
    try:
        with breaker.circuit._lock:
            signal.raise_signal(signal.SIGINT)
            breaker.open()
            breaker.half_open()
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert called == ["closed", "half-open"]
    assert breaker.current_state == "closed"
