"""What else breakers get wrong."""

from __future__ import annotations

from benchmarks.half_open.play import Play
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
    DoesNotApply,
    OwnFaultOfAnotherKind,
)
from benchmarks.terms import ERROR

__all__ = ["FURTHER"]

_HOUR = 3600.0
_CROWD = 5


class _ListenersFaultError(Exception):
    """A mistake of the listener's."""


def _raises() -> None:
    raise _ListenersFaultError


@scenario("half-open lets everybody through")
def half_open_lets_everybody_through(play: Play) -> None:
    """Five calls come at once when the time is over: one is let through."""
    calls = [play.half_open(), *(play.start() for _ in range(_CROWD - 1))]
    running = sum(flight.running for flight in calls)
    play.must(running == 1, f"{running} of {_CROWD} calls run as probes at once")


@scenario("a late success closes an open one")
def a_late_success_closes_an_open_one(play: Play) -> None:
    """A call from before it opened succeeds while it is open: it stays open, and rejects."""
    stale = play.begin()
    play.trip()
    play.end(stale)
    play.must_be(OPEN, after="a late success")
    play.must(play.rejected(play.call()), "lets a call through after a late success")


@scenario("a late failure keeps it open for longer")
def a_late_failure_keeps_it_open_for_longer(play: Play) -> None:
    """A call from before it opened fails while it is open: it probes when its time is over, as if nothing were."""
    stale = play.begin()
    play.trip()
    play.time.advance(RESET - 1)
    play.end(stale, ERROR())
    play.time.advance(2)
    play.must_let_through("after a late failure, the call that should probe")


@scenario("late failures open it after it has closed")
def late_failures_open_it_after_it_has_closed(play: Play) -> None:
    """Calls from before it opened fail when it has closed again: it stays closed."""
    stale = [play.begin() for _ in range(THRESHOLD)]
    play.end(play.half_open())
    play.must_be(CLOSED, after="a successful probe")
    for flight in stale:
        play.end(flight, ERROR())
    play.must_be(CLOSED, after=f"{THRESHOLD} failures of calls from before it opened")


@scenario("a probe of an earlier round mints an extra one", successes=2, probes=2)
def a_probe_of_an_earlier_round_mints_an_extra_one(play: Play) -> None:
    """A probe still runs when others have opened the circuit. It ends in the next round, without an outcome: no probe
    more is let out than before."""
    old = play.half_open()
    for _ in range(THRESHOLD):
        other = play.start()
        if not other.entered:
            raise DoesNotApply("lets out no other probes while the first one runs")
        play.end(other, ERROR())
        if play.state == OPEN:
            break
    if play.state != OPEN:
        raise DoesNotApply("does not open while the first probe runs")
    play.wait()
    if all(play.start().entered for _ in range(_CROWD)):
        raise DoesNotApply("does not bound its probes")
    play.end(old, play.own_faults[0]())
    play.must(not play.start().entered, "a probe more than before is out")


@scenario("a lock is held through the call")
def a_lock_is_held_through_the_call(play: Play) -> None:
    """Two calls through a closed circuit run at the same time."""
    play.begin()
    second = play.start()
    play.must(second.running, f"while a call runs, the second one {second.told()}")


@scenario("an async function never trips it", roads=(TASKS,), decorating=True)
def an_async_function_never_trips_it(play: Play) -> None:
    """As many failures of an async function as open it: it is open."""
    for _ in range(THRESHOLD):
        play.fail()
    play.must_be(OPEN, after=f"{THRESHOLD} failures of an async function")


@scenario("a cancelled call counts as a failure", roads=(TASKS,))
def a_cancelled_call_counts_as_a_failure(play: Play) -> None:
    """Calls are cancelled: it stays closed. A probe is: it does not open again for its whole time."""
    for _ in range(THRESHOLD):
        play.interrupt(play.begin())
    play.must_be(CLOSED, after=f"{THRESHOLD} cancelled calls")
    play.interrupt(play.half_open())
    play.must_be(HALF_OPEN, CLOSED, after="a cancelled probe")


@scenario("a cancelled probe wedges it", roads=(TASKS,))
def a_cancelled_probe_wedges_it(play: Play) -> None:
    """The task of the probe is cancelled: a call is let through again, at the latest after its time."""
    play.interrupt(play.half_open())
    play.wait()
    play.must_let_through("after a cancelled probe, the next call")


@scenario("Ctrl-C counts as a failure", roads=(THREADS, BLOCKS))
def ctrl_c_counts_as_a_failure(play: Play) -> None:
    """Calls end with KeyboardInterrupt: it stays closed."""
    for _ in range(THRESHOLD):
        play.interrupt(play.begin())
    play.must_be(CLOSED, after=f"{THRESHOLD} calls that Ctrl-C ended")


@scenario("Ctrl-C in a probe closes it", roads=(THREADS, BLOCKS))
def ctrl_c_in_a_probe_closes_it(play: Play) -> None:
    """The probe ends with KeyboardInterrupt: it does not close."""
    play.interrupt(play.half_open())
    play.must_be(HALF_OPEN, OPEN, after="a probe that Ctrl-C ended")


@scenario("the clock steps ahead")
def the_clock_steps_ahead(play: Play) -> None:
    """The machine's clock is set ahead an hour while it is open: it goes on rejecting until its time is over."""
    play.trip()
    play.time.set_wall(_HOUR)
    play.must(play.rejected(play.call()), "lets a call through at once")
    play.wait()
    play.must_let_through(f"{RESET + 1:g} s later the next call")


@scenario("the tripping call's error is replaced")
def the_tripping_calls_error_is_replaced(play: Play) -> None:
    """The call that opens it raises its own error, the same object."""
    for _ in range(THRESHOLD - 1):
        play.fail()
    error = ERROR()
    flight = play.begin()
    play.end(flight, error)
    play.must_be(OPEN, after=f"{THRESHOLD} failures")
    play.must(flight.error is error, f"the call that failed with {type(error).__name__} {flight.told()}")


@scenario("all rejections are one exception object")
def all_rejections_are_one_exception_object(play: Play) -> None:
    """Two rejected calls raise an error each; one object would gather the tracebacks of all."""
    play.trip()
    first, second = play.call(), play.call()
    play.must(play.rejected(first) and play.rejected(second), "an open one lets a call through")
    play.must(first.error is not second.error, "the second rejection is the same object as the first")


@scenario("excluding a class with a metaclass excludes everything", own_fault=OwnFaultOfAnotherKind)
def excluding_a_class_with_a_metaclass_excludes_everything(play: Play) -> None:
    """A class of errors that has a metaclass is not to count: the dependency's failures count all the same."""
    for _ in range(THRESHOLD):
        play.fail()
    play.must_be(OPEN, after=f"{THRESHOLD} failures")


@scenario("a listener that raises keeps it from opening", listener=_raises)
def a_listener_that_raises_keeps_it_from_opening(play: Play) -> None:
    """Its listener raises at every event: it opens all the same."""
    for _ in range(THRESHOLD):
        play.fail()
    play.must_be(OPEN, after=f"{THRESHOLD} failures")


FURTHER: tuple[Scenario, ...] = (
    half_open_lets_everybody_through,
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
