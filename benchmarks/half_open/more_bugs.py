"""More bugs of circuit breakers, each as a scenario. The docstring is what a right circuit does."""

from __future__ import annotations

from benchmarks.half_open.circuit import CircuitUnderTest
from benchmarks.half_open.scenarios import Scenario, scenario
from benchmarks.half_open.terms import (
    BLOCKS,
    CLOSED,
    HALF_OPEN,
    OPEN,
    RESET,
    TASKS,
    THREADS,
    THRESHOLD,
    CallerBugWithMetaclass,
    NotApplicable,
)
from benchmarks.terms import ERROR

__all__ = ["MORE_BUGS"]

_HOUR = 3600.0
_CROWD = 5


class _ListenerError(Exception):
    """A bug of the listener's."""


def _raise() -> None:
    raise _ListenerError


@scenario("half-open admits every call")
def half_open_admits_every_call(circuit: CircuitUnderTest) -> None:
    """Five calls come at once after the reset time: one is admitted."""
    calls = [circuit.half_open(), *(circuit.start() for _ in range(_CROWD - 1))]
    running = sum(call.running for call in calls)
    circuit.require(running == 1, f"{running} of {_CROWD} calls run as probes at once")


@scenario("a late success closes an open one")
def a_late_success_closes_an_open_one(circuit: CircuitUnderTest) -> None:
    """A call from before it opened succeeds while it is open: it stays open, and rejects."""
    stale = circuit.begin()
    circuit.trip()
    circuit.end(stale)
    circuit.require_state(OPEN, after="a late success")
    circuit.require(circuit.rejected(circuit.call()), "admits a call after a late success")


@scenario("a late failure keeps it open for longer")
def a_late_failure_keeps_it_open_for_longer(circuit: CircuitUnderTest) -> None:
    """A call from before it opened fails while it is open: it probes after its reset time, no later."""
    stale = circuit.begin()
    circuit.trip()
    circuit.clocks.advance(RESET - 1)
    circuit.end(stale, ERROR())
    circuit.clocks.advance(2)
    circuit.require_admission("after a late failure, the call that should probe")


@scenario("late failures open it after it has closed")
def late_failures_open_it_after_it_has_closed(circuit: CircuitUnderTest) -> None:
    """Calls from before it opened fail when it has closed again: it stays closed."""
    stale = [circuit.begin() for _ in range(THRESHOLD)]
    circuit.end(circuit.half_open())
    circuit.require_state(CLOSED, after="a successful probe")
    for call in stale:
        circuit.end(call, ERROR())
    circuit.require_state(CLOSED, after=f"{THRESHOLD} failures of calls from before it opened")


@scenario("a probe of an earlier round mints an extra one", successes=2, probes=2)
def a_probe_of_an_earlier_round_mints_an_extra_one(circuit: CircuitUnderTest) -> None:
    """A probe still runs when others have opened the circuit. It ends in the next round, without an outcome: no
    further probe is admitted."""
    old = circuit.half_open()
    for _ in range(THRESHOLD):
        other = circuit.start()
        if not other.entered:
            raise NotApplicable("admits no other probe while the first one runs")
        circuit.end(other, ERROR())
        if circuit.state == OPEN:
            break
    if circuit.state != OPEN:
        raise NotApplicable("does not open while the first probe runs")
    circuit.wait()
    if all(circuit.start().entered for _ in range(_CROWD)):
        raise NotApplicable("does not bound its probes")
    circuit.end(old, circuit.caller_bugs[0]())
    circuit.require(not circuit.start().entered, "one probe too many is out")


@scenario("a lock is held through the call")
def a_lock_is_held_through_the_call(circuit: CircuitUnderTest) -> None:
    """Two calls through a closed circuit run at the same time."""
    circuit.begin()
    second = circuit.start()
    circuit.require(second.running, f"while a call runs, the second one {second.outcome()}")


@scenario("an async function never trips it", styles=(TASKS,), decorating=True)
def an_async_function_never_trips_it(circuit: CircuitUnderTest) -> None:
    """An async function fails as often as the threshold says: it is open."""
    for _ in range(THRESHOLD):
        circuit.fail()
    circuit.require_state(OPEN, after=f"{THRESHOLD} failures of an async function")


@scenario("a cancelled call counts as a failure", styles=(TASKS,))
def a_cancelled_call_counts_as_a_failure(circuit: CircuitUnderTest) -> None:
    """Calls are cancelled: it stays closed. A probe is cancelled: it does not open again."""
    for _ in range(THRESHOLD):
        circuit.interrupt(circuit.begin())
    circuit.require_state(CLOSED, after=f"{THRESHOLD} cancelled calls")
    circuit.interrupt(circuit.half_open())
    circuit.require_state(HALF_OPEN, CLOSED, after="a cancelled probe")


@scenario("a cancelled probe wedges it", styles=(TASKS,))
def a_cancelled_probe_wedges_it(circuit: CircuitUnderTest) -> None:
    """The task of the probe is cancelled: a call is admitted again, at the latest after the reset time."""
    circuit.interrupt(circuit.half_open())
    circuit.wait()
    circuit.require_admission("after a cancelled probe, the next call")


@scenario("Ctrl-C counts as a failure", styles=(THREADS, BLOCKS))
def ctrl_c_counts_as_a_failure(circuit: CircuitUnderTest) -> None:
    """Calls end with KeyboardInterrupt: it stays closed."""
    for _ in range(THRESHOLD):
        circuit.interrupt(circuit.begin())
    circuit.require_state(CLOSED, after=f"{THRESHOLD} calls that Ctrl-C ended")


@scenario("Ctrl-C in a probe closes it", styles=(THREADS, BLOCKS))
def ctrl_c_in_a_probe_closes_it(circuit: CircuitUnderTest) -> None:
    """The probe ends with KeyboardInterrupt: it does not close."""
    circuit.interrupt(circuit.half_open())
    circuit.require_state(HALF_OPEN, OPEN, after="a probe that Ctrl-C ended")


@scenario("the clock steps ahead")
def the_clock_steps_ahead(circuit: CircuitUnderTest) -> None:
    """The machine's clock is set ahead an hour while it is open: it rejects until its reset time has passed."""
    circuit.trip()
    circuit.clocks.shift_wall_clock(_HOUR)
    circuit.require(circuit.rejected(circuit.call()), "admits a call at once")
    circuit.wait()
    circuit.require_admission(f"{RESET + 1:g} s later the next call")


@scenario("the tripping call's error is replaced")
def the_tripping_calls_error_is_replaced(circuit: CircuitUnderTest) -> None:
    """The call that opens it raises its own error, the same object."""
    for _ in range(THRESHOLD - 1):
        circuit.fail()
    error = ERROR()
    call = circuit.begin()
    circuit.end(call, error)
    circuit.require_state(OPEN, after=f"{THRESHOLD} failures")
    circuit.require(call.error is error, f"the call that failed with {type(error).__name__} {call.outcome()}")


@scenario("all rejections are one exception object")
def all_rejections_are_one_exception_object(circuit: CircuitUnderTest) -> None:
    """Two rejected calls raise an error each; a shared object would collect the tracebacks of all."""
    circuit.trip()
    first, second = circuit.call(), circuit.call()
    circuit.require(circuit.rejected(first) and circuit.rejected(second), "an open circuit admits a call")
    circuit.require(first.error is not second.error, "the second rejection is the same object as the first")


@scenario("excluding a class with a metaclass excludes everything", caller_bug=CallerBugWithMetaclass)
def excluding_a_class_with_a_metaclass_excludes_everything(circuit: CircuitUnderTest) -> None:
    """A class of errors that has a metaclass is excluded: the dependency's failures still count."""
    for _ in range(THRESHOLD):
        circuit.fail()
    circuit.require_state(OPEN, after=f"{THRESHOLD} failures")


@scenario("a listener that raises keeps it from opening", listener=_raise)
def a_listener_that_raises_keeps_it_from_opening(circuit: CircuitUnderTest) -> None:
    """Its listener raises at every event: it still opens."""
    for _ in range(THRESHOLD):
        circuit.fail()
    circuit.require_state(OPEN, after=f"{THRESHOLD} failures")


MORE_BUGS: tuple[Scenario, ...] = (
    half_open_admits_every_call,
    a_late_success_closes_an_open_one,
    a_late_failure_keeps_it_open_for_longer,
    late_failures_open_it_after_it_has_closed,
    a_probe_of_an_earlier_round_mints_an_extra_one,
    a_lock_is_held_through_the_call,
    an_async_function_never_trips_it,
    a_cancelled_call_counts_as_a_failure,
    a_cancelled_probe_wedges_it,
    ctrl_c_counts_as_a_failure,
    ctrl_c_in_a_probe_closes_it,
    the_clock_steps_ahead,
    the_tripping_calls_error_is_replaced,
    all_rejections_are_one_exception_object,
    excluding_a_class_with_a_metaclass_excludes_everything,
    a_listener_that_raises_keeps_it_from_opening,
)
