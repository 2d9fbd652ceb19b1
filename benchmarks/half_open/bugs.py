"""The eight."""

from __future__ import annotations

from benchmarks.half_open.play import Play
from benchmarks.half_open.scenarios import Scenario, scenario
from benchmarks.half_open.terms import CLOSED, HALF_OPEN, OPEN, RESET, TASKS, DoesNotApply
from benchmarks.terms import ERROR

__all__ = ["BUGS"]

_HOUR = 3600.0


@scenario("two stale successes close it", successes=2)
def two_stale_successes_close_it(play: Play) -> None:
    """Two calls from before it opened succeed while a probe is out: it stays half-open, and the probe decides."""
    stale = [play.begin(), play.begin()]
    probe = play.half_open()
    for flight in stale:
        play.end(flight)
    play.must_be(HALF_OPEN, after="two late successes, its probe still out")
    play.end(probe, ERROR())
    play.must_be(OPEN, HALF_OPEN, after="two late successes and a failed probe")


@scenario("stale ignored results mint extra probes")
def stale_ignored_results_mint_extra_probes(play: Play) -> None:
    """Two calls from before it opened end without saying anything while the one probe is out: nobody else gets in."""
    stale = [play.begin(), play.begin()]
    probe = play.half_open()
    if not play.rejected(play.call()):
        raise DoesNotApply("does not bound its probes")
    play.end(stale[0], play.own_faults[0]())
    play.interrupt(stale[1])
    play.must(probe.running, "the probe ended by itself")
    play.must(not play.start().entered, "a second probe is out")


@scenario("an unreported probe wedges it")
def an_unreported_probe_wedges_it(play: Play) -> None:
    """A probe ends from outside, and so tells nothing: a call is let through again, at the latest after its time."""
    probe = play.half_open(by_hand=True)
    play.lose(probe)
    play.wait()
    play.must_let_through("after a probe that ended from outside, the next call")


@scenario("the clock steps back")
def the_clock_steps_back(play: Play) -> None:
    """The machine's clock is set back an hour while it is open: it probes when its time is over, and not before."""
    play.trip()
    play.time.set_wall(-_HOUR)
    play.must(play.rejected(play.call()), "lets a call through at once")
    play.wait()
    play.must_let_through(f"{RESET + 1:g} s later the next call")


@scenario("an unhandled probe error closes it")
def an_unhandled_probe_error_closes_it(play: Play) -> None:
    """The probe ends with an error that says nothing of the dependency: it does not close."""
    play.trip()
    for own_fault in play.own_faults:
        play.wait()
        error = own_fault()
        play.end(play.probe(), error)
        play.must_be(HALF_OPEN, OPEN, after=f"a probe that raised {type(error).__name__}")


@scenario("a stale failure reopens a probing one")
def a_stale_failure_reopens_a_probing_one(play: Play) -> None:
    """A call from before it opened fails while a probe is out: it stays half-open. The probe succeeds: it closes."""
    stale = play.begin()
    probe = play.half_open()
    play.end(stale, ERROR())
    play.must_be(HALF_OPEN, after="a late failure, its probe still out")
    play.end(probe)
    play.must_be(CLOSED, after="a late failure and a successful probe")


@scenario("a cancelled probe closes it", roads=(TASKS,))
def a_cancelled_probe_closes_it(play: Play) -> None:
    """The task of the probe is cancelled: it does not close."""
    play.interrupt(play.half_open())
    play.must_be(HALF_OPEN, OPEN, after="a cancelled probe")


@scenario("a hung probe blocks for ever")
def a_hung_probe_blocks_for_ever(play: Play) -> None:
    """The probe hangs: after a hundred times its time open, a call is let through all the same."""
    probe = play.half_open()
    play.time.advance(100 * RESET)
    play.must(probe.running, "the probe ended by itself")
    play.must_let_through("behind a probe that hangs, the next call")


BUGS: tuple[Scenario, ...] = (
    two_stale_successes_close_it,
    stale_ignored_results_mint_extra_probes,
    an_unreported_probe_wedges_it,
    the_clock_steps_back,
    an_unhandled_probe_error_closes_it,
    a_stale_failure_reopens_a_probing_one,
    a_cancelled_probe_closes_it,
    a_hung_probe_blocks_for_ever,
)
